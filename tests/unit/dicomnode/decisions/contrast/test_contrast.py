"""The attribute witness of contrast."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.decisions.contrast.contrast import Contrast, agent_says, attribute_witness
from dicomnode.decisions.instance_header import InstanceHeader
from support.ct_headers import ct_header, ct_series

AMOUNTS = (
    *("contrast_bolus_volume", "contrast_flow_rate", "contrast_bolus_start_time"),
    *("contrast_bolus_total_dose", "contrast_bolus_stop_time", "contrast_flow_duration"),
)


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"contrast_bolus_agent": "NON IONIC"}, "yes"),  # a kind of agent, no denial
        ({"contrast_bolus_agent": "& NON IONIC"}, "yes"),
        ({"contrast_bolus_agent": "CE"}, "yes"),
        ({"contrast_bolus_agent": "Omnipaque 350"}, "yes"),
        ({"contrast_bolus_agent": "APPLIED"}, "yes"),
        ({"contrast_bolus_agent": "NONE"}, "no"),
        ({"contrast_bolus_agent": " No "}, "no"),
        ({"contrast_bolus_agent": "w/o"}, "no"),
        ({"contrast_bolus_agent": "without  contrast"}, "no"),
        ({"contrast_bolus_agent": "平扫"}, "no"),
        ({"contrast_bolus_agent": "unknown"}, "unknown"),
        ({"contrast_bolus_agent": ""}, "unknown"),
        ({"contrast_bolus_route": "IV"}, "yes"),
        ({"contrast_bolus_route": "NONE"}, "unknown"),
        ({"contrast_bolus_volume": "80"}, "yes"),
        ({"contrast_bolus_volume": "0"}, "unknown"),
        ({"contrast_flow_rate": "3.5\\2"}, "yes"),
        ({"contrast_bolus_start_time": "101500"}, "yes"),
        ({"contrast_bolus_start_time": "000000.000"}, "unknown"),
        ({"contrast_bolus_agent_sequence": True}, "yes"),
        ({"contrast_bolus_agent": "NONE", "contrast_bolus_volume": "0"}, "no"),
        ({"contrast_told": (("contrast_bolus_total_dose", "40"),)}, "yes"),
        ({"contrast_told": (("contrast_bolus_total_dose", "0.00"),)}, "unknown"),
        ({"contrast_told": (("contrast_bolus_stop_time", "101530"),)}, "yes"),
        ({"contrast_told": (("contrast_flow_duration", "20\\30"),)}, "yes"),
        ({"contrast_told": (("contrast_bolus_ingredient", "IODINE"),)}, "yes"),
        ({"contrast_told": (("contrast_bolus_ingredient", "NONE"),)}, "unknown"),
        ({"contrast_told": (("contrast_bolus_ingredient_code_sequence", "Iodine"),)}, "yes"),
        ({"contrast_told": (("contrast_bolus_agent_sequence", "Iohexol"),)}, "yes"),
        ({"contrast_told": (("contrast_bolus_agent_sequence", "an item"),)}, "yes"),
        ({"contrast_told": (("contrast_bolus_agent_sequence", "No contrast"),)}, "no"),
        ({"contrast_told": (("contrast_bolus_agent_sequence", ""),)}, "unknown"),
    ],
)
def test_what_an_attribute_says(changes: dict[str, Any], verdict: str) -> None:
    assert attribute_witness([ct_header(**changes)]).verdict == verdict


ZERO = """
0 | 0.0 | 0.000000 | 0.000 | 0E0 | 0.0E+00 | +0 | -0 | .0 | 0. | 00 | 0,0 | 0 ml | 0ML | 0.0\\0.0
000000 | 000000.000000 | 00:00:00 | 0:00 | 000000.0 | -1 | N/A | NONE | none | \\0 | nan
"""
NOT_ZERO = """
80 | 0.1 | 1E-3 | +5 | 80 ml | 0.0\\80 | 101500 | 000001 | 0.0001 | 1,5 | 80/20 | 1E999
"""


def _texts(block: str) -> list[str]:
    return [text.strip() for line in block.strip().splitlines() for text in line.split(" | ")]


@pytest.mark.parametrize("field", AMOUNTS)
def test_zero_is_no_contrast_however_it_is_written(field: str) -> None:
    """DS and TM as consoles write them; none is proof that nothing was given."""
    said = {text: attribute_witness([_told(field, text)]).verdict for text in _texts(ZERO)}
    assert set(said.values()) == {Contrast.UNKNOWN}, said
    said = {text: attribute_witness([_told(field, text)]).verdict for text in _texts(NOT_ZERO)}
    assert set(said.values()) == {Contrast.YES}, said


def _told(field: str, text: str) -> InstanceHeader:
    if field in InstanceHeader.__dataclass_fields__:
        changes: dict[str, Any] = {field: text}
        return ct_header(**changes)
    return ct_header(contrast_told=((field, text),))


REFUSALS = """
0 ml | 0.000000
NO CONTRAST GIVEN | NONE | None. | (none) | No | N | NIL | No contrast | NO IV CONTRAST | W/O
no contrast administered | No contrast used | Contrast: none | CONTRAST NOT GIVEN | not given
NON-CONTRAST | unenhanced | C- | no iodine | ohne KM | ohne i.v. KM | kein Kontrastmittel | Nein
kein KM gegeben | nativ | keine KM-Gabe | sans injection | aucun | pas d'injection | néant | non
sin contraste | ninguno | não | sem contraste | senza mdc | nessuno | geen contrast | zonder
ingen kontrast | utan kontrast | bez kontrastu | brak | нет | без контраста | не вводился | nincs
无 | 無 | 平扫 | 无造影剂 | なし | 造影剤なし | 単純 | 없음 | 비조영 | yok | ei | όχι
"""
AGENTS = """
NON IONIC | NONIONIC | & NON IONIC | Non-ionic contrast | no ionic agent | Nonionic 300 | C+ | KM
Omnipaque 350 | Xenetix ohne Konservierung | Omnipaque, no reaction | NO. 3 | N300 | Nova | Yes
PHENONE | noniodine | CONTRAST GIVEN | contrast | IV | IV CONTRAST | Kontrastmittel | iodine
造影剤 | No iodine allergy | no contrast allergy | Imeron 400 | NONE/ORAL | Sinographin
Bezirk | Neinomed
"""
NO_ANSWER = (
    "UNKNOWN | N/A | n.a. | ? | -- | . | null | not applicable | unbekannt | 不明"
    " | ANONYMIZED | De-identified | removed | XXXX"
)


@pytest.mark.parametrize(
    ("block", "verdict"), [(REFUSALS, "no"), (AGENTS, "yes"), (NO_ANSWER, "unknown")]
)
def test_an_agent_is_refused_only_by_words_that_all_refuse(block: str, verdict: str) -> None:
    said = {text: agent_says(text) for text in _texts(block)}
    assert {text: found for text, found in said.items() if found != verdict} == {}


def test_agents_that_are_not_given_before_the_frame_are_a_denial() -> None:
    agents = (("contrast_bolus_agent_sequence", "Iohexol"), ("contrast_bolus_volume", "80"))
    before = (*agents, ("contrast_bolus_agent_administered", "NO"))
    witness = attribute_witness([ct_header(contrast_told=before)])
    assert witness.verdict is Contrast.NO
    assert witness.evidence == "Contrast/Bolus Agent Administered 'NO'"
    for use in ("administered", "detected"):
        given = (*before, (f"contrast_bolus_agent_{use}", "YES"))
        assert attribute_witness([ct_header(contrast_told=given)]).verdict is Contrast.YES
    two = (*before, ("contrast_bolus_agent_sequence", "Barium"))
    assert attribute_witness([ct_header(contrast_told=two)]).verdict is Contrast.YES


@given(st.text(max_size=30))
def test_any_text_is_an_agent_a_refusal_or_no_answer(text: str) -> None:
    told = agent_says(text)
    assert (told is Contrast.UNKNOWN) or any(map(str.isalnum, text))
    for field in AMOUNTS:
        assert attribute_witness([_told(field, text)]).verdict is not Contrast.NO


def test_one_instance_is_enough_and_is_counted() -> None:
    witness = attribute_witness([*ct_series(9), ct_header(contrast_bolus_agent="CE")])
    assert witness.as_json() == {
        "verdict": "yes",
        "evidence": "Contrast/Bolus Agent 'CE' in 1 of 10 instances",
    }


def test_a_sign_outweighs_a_denial_and_both_are_told() -> None:
    header = ct_header(contrast_bolus_agent="NONE", contrast_bolus_route="IV")
    witness = attribute_witness([header])
    assert witness.verdict is Contrast.YES
    assert witness.evidence.startswith("Contrast/Bolus Route 'IV', against Contrast/Bolus Agent")


def test_no_instances_say_nothing() -> None:
    assert attribute_witness([]).verdict is Contrast.UNKNOWN
