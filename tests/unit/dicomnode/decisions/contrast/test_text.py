"""The text witness of contrast, on descriptions as hospitals write them."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.decisions.contrast.contrast import Contrast
from dicomnode.decisions.contrast.history_terms import HISTORY
from dicomnode.decisions.contrast.meaning import Meaning
from dicomnode.decisions.contrast.terms import LANGUAGES
from dicomnode.decisions.contrast.text import LEVELS, read_terms, text_witness
from dicomnode.decisions.contrast.virtual_terms import VIRTUAL_LANGUAGES
from dicomnode.decisions.term_table import normal
from support.ct_headers import ct_header, ct_series, real_series

GIVEN = """
ART/CHEST/ABD/PEL W/C ST | CT CHEST PULMONARY ANGIO WITH IV CON | CT ABD AND PELVIS WITH IV CONT
5.9 PE<200 LBS/ 90 KG 4 CC/SEC INJECTION RATE | CTA CHEST 1.25 | CTA1.25 | CTPA | CHEST PE
CHEST W/CONTRAST 3D | CHEST WITH CONTRAST | CT CHEST W IV CONTRAST | post-contrast | POST CON 2.0
ENHANCED CHEST | CECT THORAX | THORAX C+ | Chest+C 1.25 | Thorax +C | CE 1.5 | ＣＥ | ART 1.0
VENOUS 3MM | PORTAL VENOUS | 2.0 PV | DELAYED 5MIN | 80 mL OMNIPAQUE 350 | BOLUS TRACKING
NON-IONIC CONTRAST | Thorax mit KM | Thorax nach i.v. KM | Thorax KM 1.0 | Thorax venös
TDM thoracique avec injection | Thorax INJECTÉ | TAP IV+ | Angioscanner thoracique | c/contraste
TORAX CON CONTRASTE | TC tórax com contraste | torace con mdc | TC torace con m.d.c.
thorax met contrast | thorax med kontrast | КТ ОГК с контрастом | Артериальная фаза
CT-Thorax nach i.v. Kontrastmittelgabe | Thorax kontrastverstärkt | CT Pulmonalisangiographie
post-gadolinium | avec IV | contraste no iónico | КТ с контрастным веществом
angioTDM thoracique | TK z podaniem kontrastu | КТ ОГК с внутривенным контрастированием
КТ ОГК с контрастным усилением | КТ-ангиопульмонография
胸部增强 | 胸部造影CT | 胸部 増強 | 動脈相 | 门静脉期 | 胸部+C | 흉부 조영증강
"""

NOT_GIVEN = """
CT CHEST WO IV CONT | CT CHEST WITHOUT IV CONTRAST | 2 Chest C-/Thorax | Chest HCT 5mm  -C
Non \\Contrast | Non\\Contrast\\Sagittal | 5.3 CHEST/ABD/PEL (NON CONTRAST) | NONCON CHEST
CHEST W/O | 3.11 TRAUMA CHEST/ABD/PEL (NON CONTRAST) T-L SP PELVIS | 1A TRAUMA/PLAIN HEAD DM
non_contrast | CT CHEST WO | CHEST W/O CONTRAST | WITHOUT INTRAVENOUS CONTRAST | UNENHANCED
NON-ENHANCED | NECT thorax | NCCT | PRE CONTRAST | PRECONTRAST | NO IV CONTRAST
non i.v. contrast | w/out dye | TNC | True non-contrast | NO CONTRAST GIVEN
WO IV CONTRAST W ORAL CONTRAST | Thorax nativ | Thorax ohne KM | Thorax o.KM | oKM 1.0 | KM-
CT CHEST WITHOUT ORAL OR IV CONTRAST | w/o PO and IV contrast | Kein i.v. KM | keine KM-Gabe
ohne Kontrastmittelgabe | pas d'injection | pas d’injection
TAC sin medio de contraste | TC sem uso de contraste | geen iv contrast | uten iv kontrast
KM: keine | KM: 0 ml | IV contrast: none | IV contrast: no | contrast not administered | PDC: non
contraste: não | sin administrar contraste | mdc: no | uden i.v. kontrast | kontrast verilmeden
造影剂未使用 | 造影剤使用せず | 조영제 미사용
bez podania kontrastu | КТ без контрастного усиления
TDM sans injection | TDM thorax non injecté | TAP IV- | sans contraste | TAC TORAX SIN CONTRASTE
Torax simple | s/contraste | tórax sem contraste | torace senza mdc | TC torace basale
thorax zonder contrast | blanco thorax | thorax utan kontrast | KT bez kontrastu | kontrastsız
КТ ОГК без контраста | КТ ОГК без контрастирования | нативная фаза
胸部平扫 | 胸部単純 | 単純CT | 造影なし | 非造影 | 非增强 | 胸部造影前 | 비조영 흉부 | 조영 전
"""

VIRTUAL = """
VNC | Thorax 1.0 VNC | Virtual Non-Contrast | VIRTUAL NON CONTRAST [HU*] | VUE | Virtual Unenhanced
DE_VNC_1.0 | Iodine no Water[mg/ml] | Water (Iodine) | virtual plain | Virtuell nativ
virtuelle Nativphase | sans contraste virtuel | sin contraste virtual | virtual sem contraste
basale virtuale | virtueel blanco | виртуальная нативная | 虚拟平扫 | 仮想単純 | 가상 비조영
"""

BOTH = """
5.13 TRIPLE PHASE C-A-P W & W/O... | CT CHEST W WO CONTRAST | w/o & w/ contrast | CHEST W/WO
WITH AND WITHOUT IV CONTRAST | CT ABD TRIPLE PHASE W/ | PRE/POST CONTRAST | Chest C-/C+ | C+/-
Thorax mit und ohne KM | sans puis avec injection | torax sin y con contraste | senza e con mdc
КТ с и без контраста | 平扫+增强 | 単純+造影 | 単純、造影 | NATIV, ART, VENOUS | 造影前後
"""

SILENT = """
NON IONIC | CHEST W | PARTIAL | ARTHRO | HEART | START | SMART | CHEST 1.25 MM | PET-CT SERIES
T-L SPINE | C-SPINE | C- SPINE | CHEST/ABD/PEL | C-A-P | C+A+P | HELICAL CHEST | Routine  8.0.0
PEDS CHEST | PELVIS | OPEN | Thorax^AThoraxRoutine (Adult) | Lung 1.0 Br59 Q3 | HRCT | LOW DOSE
W ORAL CONTRAST | EDGE ENHANCEMENT | high contrast | PLAIN FILM | CT3CE9 | A1PE2 | wound | WORK
no iodine allergy | iodine allergy | NO CONTRAST ALLERGY | KM-Allergie | keine KM-Allergie
KM-Unverträglichkeit | KM kontraindiziert | contrast contraindicated | refused IV contrast
contrast-induced nephropathy | allergic to iodinated contrast | prior contrast CT
alérgico al contraste | contre-indication à l'injection | controindicazione al mdc
uczulenie na kontrast | аллергия на контраст | 造影剂过敏 | 造影剤アレルギー | 조영제 알레르기
lung enhancement filter | Enhanced CT Image Storage | contrast window
Vue axiale | vue d’ensemble | TDM thorax sous VNI | MonoSource 120 | Mono 120 kV
allergie au produit de contraste | allergia al mdc | alergia al contraste | VNCa | Electron Density
MonoE 70 keV | Z effective | DE_Thorax M_0.6 | none | nonetheless
angiomyolipoma | concert | scanner | CT CHEST WITHIN 24H | SUPREME | CHEST W/O MIPS
"""


TABLES = [*LANGUAGES.items(), *VIRTUAL_LANGUAGES.items()]


def _texts(block: str) -> list[str]:
    return [text.strip() for line in block.strip().splitlines() for text in line.split(" | ")]


def _meanings(text: str) -> set[Meaning]:
    return {meaning for _, meaning in read_terms(text)}


@pytest.mark.parametrize(
    ("block", "verdict"),
    [(GIVEN, "yes"), (VIRTUAL, "yes"), (NOT_GIVEN, "no"), (BOTH, "unknown"), (SILENT, "unknown")],
)
def test_what_descriptions_say(block: str, verdict: str) -> None:
    said = {text: text_witness([ct_header(series_description=text)]) for text in _texts(block)}
    assert {text: found for text, found in said.items() if found.verdict != verdict} == {}
    silent = {text for text, found in said.items() if found.evidence == "no description tells"}
    assert silent == (set(said) if block is SILENT else set())


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC"])
def test_accents_written_in_either_way_are_the_same(form: str) -> None:
    texts = ["Thorax venös", "non injecté", "нативный скан, с контрастированием", "조영 전"]
    for text in texts:
        written = unicodedata.normalize(form, text)  # type: ignore[arg-type]
        assert read_terms(written) == read_terms(text) != ()


def test_accents_that_are_left_out_are_the_same() -> None:
    """As where Specific Character Set is absent."""
    for text, meaning in {
        "THORAX APRES INJECTION": Meaning.GIVEN,
        "TEMPS ARTERIEL": Meaning.GIVEN,
        "NON INJECTEE": Meaning.NOT_GIVEN,
        "FASE TARDIA": Meaning.GIVEN,
    }.items():
        assert _meanings(text) == {meaning}
    assert _meanings("CONTRAINDICACION DE CONTRASTE") == set()


def test_no_term_means_two_things() -> None:
    known: dict[str, Meaning] = {}
    for language, terms in TABLES:
        for meaning, words in terms.items():
            for word in words:
                assert known.setdefault(normal(word), meaning) is meaning, (language, word)
                assert len(word.strip()) >= 2, (language, word)
    for language, history in HISTORY.items():
        for word in history:
            assert known.get(normal(word)) is None, (language, word)


def test_every_term_is_found_where_it_stands_alone() -> None:
    for _, terms in TABLES:
        for meaning, words in terms.items():
            for word in words:
                expected = set() if meaning is Meaning.NOTHING else {meaning}
                assert _meanings(f"THORAX {word} 1.0") == expected, word
    silent = {word for words in HISTORY.values() for word in words}
    assert not any(_meanings(f"THORAX {word} 1.0") for word in silent)


def test_the_series_speaks_before_the_study() -> None:
    header = ct_header(
        series_description="Thorax nativ", study_description="CT chest with contrast"
    )
    witness = text_witness([header])
    assert witness.verdict is Contrast.NO
    assert witness.evidence == (
        "Series Description says 'nativ', against Study Description says 'with contrast'"
    )


def test_a_study_of_both_kinds_says_nothing_of_a_series() -> None:
    header = ct_header(series_description="1.0 LUNG", study_description="CT CHEST W WO CONTRAST")
    witness = text_witness([header])
    assert witness.verdict is Contrast.UNKNOWN
    assert witness.evidence.endswith("series of either kind")
    assert "Study Description" in witness.evidence


FIELDS = {name for level in LEVELS for name in level}


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_contrast_told_in_any_description_or_code(name: str) -> None:
    """Whether a description, the meaning of a code, or an agent that is asked for."""
    given, plain = (
        text_witness([ct_header(descriptions=((name, text),))])
        for text in ("CT chest with contrast", "without contrast")
    )
    assert (given.verdict, plain.verdict) == (Contrast.YES, Contrast.NO)
    assert "with contrast" in given.evidence or "an agent" in given.evidence


def test_any_agent_that_is_asked_for_is_one() -> None:
    for text, verdict in {"Xenetix 350": "yes", "Not applicable": "unknown", "none": "no"}.items():
        header = ct_header(descriptions=(("requested_contrast_agent", text),))
        assert text_witness([header]).verdict == verdict
        assert text[:7] not in text_witness([header]).evidence or text == "none"
    header = ct_header(
        series_description="Thorax nativ",
        descriptions=(("requested_contrast_agent", "Xenetix 350"),),
    )
    assert text_witness([header]).verdict is Contrast.NO  # the plain series of such a study


def test_a_reason_is_about_an_illness_and_tells_of_the_scan_by_the_medium_only() -> None:
    for name in ("reason_for_the_requested_procedure", "reason_for_visit_code_sequence"):
        silent = ["known pulmonary embolism", "toux sans fièvre", "delayed union", "TAVI", "ohne B"]
        for text in (*silent, "allergy to contrast", "venous thrombosis", "plain"):
            header = ct_header(descriptions=((name, text),))
            assert text_witness([header]).evidence == "no description tells", text
        for text in ("post-contrast MRI abnormal", "steroid injection", "KM-Sturz", "contrast?"):
            header = ct_header(descriptions=((name, text),))
            assert text_witness([header]).verdict is Contrast.UNKNOWN, text
        header = ct_header(descriptions=((name, "sans injection"),))
        assert text_witness([header]).verdict is Contrast.NO


def test_a_study_is_asked_before_a_reason() -> None:
    header = ct_header(
        study_description="CT chest without contrast",
        descriptions=(("reason_for_study", "CT with contrast advised"),),
    )
    witness = text_witness([header])
    assert witness.verdict is Contrast.NO
    assert witness.evidence.endswith("against Reason for Study says 'with contrast'")


def test_two_attributes_of_one_level_that_disagree() -> None:
    header = ct_header(series_description="nativ", image_comments="mit KM")
    assert text_witness([header]).verdict is Contrast.UNKNOWN


def test_evidence_never_quotes_the_text() -> None:
    written = "MUSTERMANN^ERIKA W/CONTRAST 19700101"
    witness = text_witness(ct_series(3, image_comments=written, study_description=written))
    assert witness.verdict is Contrast.YES
    assert witness.evidence == "Image Comments says 'w/ contrast'"


def test_descriptions_of_real_series() -> None:
    """As `tests/data/headers` has them."""
    said = {
        case: text_witness(next(iter(real_series(case).values()))).verdict
        for case in ("ge_5mm_arterial_contrast", "philips_5mm_noncontrast", "siemens_8mm")
    }
    assert said == {
        "ge_5mm_arterial_contrast": Contrast.YES,
        "philips_5mm_noncontrast": Contrast.NO,
        "siemens_8mm": Contrast.UNKNOWN,
    }


def test_descriptions_of_single_slices_agree_with_how_they_were_taken() -> None:
    given_on = {"A002304": {"19001231", "19010112"}, "A056642": {"19010107"}}
    for name, headers in real_series("covid19_single_slices").items():
        patient, _, number = name.split("/")
        given = number.split("-")[0] in given_on.get(patient, set())
        assert text_witness(headers).verdict is (Contrast.YES if given else Contrast.NO), name


@given(st.text(max_size=60))
def test_no_text_raises_and_upper_case_says_the_same(text: str) -> None:
    latin = "".join(character for character in text if character.isascii())
    assert read_terms(latin.upper()) == read_terms(latin.lower())
    assert all(meaning is not Meaning.NOTHING for _, meaning in read_terms(text))
