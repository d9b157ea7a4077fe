"""Maps and virtual images of spectral CT, and the images that only look like them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dicomnode.decisions.eligibility.eligibility import EligibilityPolicy, judge_eligibility
from dicomnode.decisions.image_kind.image_kind import ImageKind, image_kind
from dicomnode.decisions.image_kind.virtual_image import MAPS, virtual_image
from dicomnode.decisions.reasons import Reason, Verdict
from support.ct_headers import ct_header, ct_series

AXIAL = ("ORIGINAL", "PRIMARY", "AXIAL")
DERIVED = ("DERIVED", "PRIMARY", "AXIAL")

VIRTUAL = """
VNC | Thorax 1.0 Br40 VNC | Virtual Non-Contrast | VUE | Virtual Unenhanced 2.0 | VNC [HU*] | VNCa
Iodine Density[mg/ml] | Iodine no Water[mg/ml] | Water (Iodine) | Iodine(Water) | Iodine map 1.0
CaSupp 25 | CaSupp25 [HU*] | Calcium Suppression Index 25 | Z effective | Zeff | Eff-Z | Rho/Z | Rho
Electron Density [%EDW] | Uric Acid | Lung PBV 1.0 | DE_VNC_1.0 | Contrast [HU*] | HAP (Water)
Virtuell nativ | virtuelle Nativphase | Jodkarte | Elektronendichte | carte d'iode
sans iode virtuel | sin contraste virtual | mapa de yodo | mapa de iodo | mappa iodio
basale virtuale | jodiumkaart | virtuell utan kontrast | виртуальная нативная
карта йода | 虚拟平扫 | 碘图 | 有效原子序数 | 电子密度 | 仮想単純 | ヨードマップ | 実効原子番号
가상 비조영 | 요오드 맵 | virtual unenh | Virt. Non-Contrast | Calcium Supp Index 25 | MD-Water
Virtuelle Nativaufnahme | виртуально-нативная | 碘基 | ヨード画像 | DENSITE D'IODE CARTE D’IODE
"""
OTHER_ENERGY = """
MonoE 40keV | MonoE 40keV[HU] | Mono+ 55 keV | MonoE 190 keV | Monoenergetic Plus 40 | 40 keV
Mono_E 100 keV | VMI 50 | Monoenergetic | MonoE | GSI MONO 140 | 59.9keV | 虚拟单能 40keV | 仮想単色
monoenergetisch 40 keV | 50keV 70keV
Low keV | SpectralMonoE40 | MONOENERGETIQUE 40
"""
LIKE_A_SCAN = "70 keV | MonoE 70keV[HU] | Mono+ 65 | Monoenergetic Plus 70 keV | VMI 60 keV | 80keV"
AS_ACQUIRED = """
DE_Thorax 1.0 Br40 M_0.6 | DE_Thorax F_0.6 | Mixed | DE_Thorax 1.0 Qr40 A | Sn140 B | DE_80kV
Dual Source Flash 1.0 | Thorax Dual Energy 0.6 | DE MIX 0.5 | Conventional [HU] | T3D Thorax 1.0
TNC | True non-contrast | Thorax nativ | Thorax ohne KM | Lung 1.25 | HRCT | iDose (4) | IMR1
CHEST 120 kV | CHEST 120kV 1.0 Br40d | Rhodes 1.0 | Monochrome | MONO 1.0 | venue | Revue | virtual
Thorax 40 1.0 | Z 40 | KEVIN 70 | 5.0 Medium | Rhombus | calcium score | GSI QC | iodine | water
Vue axiale | vue d’ensemble | Mono 120 kV | MonoSource 120 | VUE PULMONAIRE
"""


def _texts(block: str) -> list[str]:
    return [text.strip() for line in block.strip().splitlines() for text in line.split(" | ")]


def image_type_of(**changes: Any) -> Reason:
    reasons = judge_eligibility(ct_series(**changes), EligibilityPolicy()).reasons
    return next(reason for reason in reasons if reason.rule == "image_type")


@pytest.mark.parametrize(
    ("block", "virtual"),
    [(VIRTUAL, True), (OTHER_ENERGY, True), (LIKE_A_SCAN, False), (AS_ACQUIRED, False)],
)
def test_by_what_workstations_call_it(block: str, virtual: bool) -> None:
    kinds = {text: image_kind(ct_header(series_description=text)) for text in _texts(block)}
    wanted = ImageKind.VIRTUAL if virtual else ImageKind.ACQUIRED
    assert {text: kind for text, kind in kinds.items() if kind is not wanted} == {}
    if block is AS_ACQUIRED:
        headers = [ct_header(series_description=text) for text in _texts(block)]
        assert set(map(virtual_image, headers)) == {None}


@pytest.mark.parametrize("value", sorted(MAPS))
@pytest.mark.parametrize("first", [AXIAL, DERIVED, ("DERIVED", "SECONDARY", "AXIAL")])
def test_image_type_tells_a_map_in_value_4_and_on(value: str, first: tuple[str, ...]) -> None:
    for values in ((*first, value), (*first, "NONE", value.lower())):
        reason = image_type_of(image_type=values)
        assert reason.verdict is Verdict.FAIL
        told = f"a map or virtual image, not HU as acquired: Image Type says {value}"
        assert str(reason.value).endswith(told)


@pytest.mark.parametrize(
    ("changes", "verdict", "told"),
    [
        ({"energy_kev": 40.0}, "fail", "40 keV, not HU as acquired: Image Type says VMI"),
        ({"energy_kev": 190.0}, "fail", "190 keV, not HU as acquired"),
        ({"energy_kev": 60.0}, "warning", "60 keV, like 60 to 80 keV"),
        ({"energy_kev": 70.0}, "warning", "70 keV, like 60 to 80 keV"),
        ({}, "fail", "of unknown energy, not HU as acquired"),
        ({"series_description": "70 keV"}, "warning", "70 keV, like 60 to 80 keV"),
        ({"series_description": "40 keV"}, "fail", "40 keV, not"),
        ({"series_description": "40 keV", "energy_kev": 70.0}, "fail", "40 keV and 70 keV, not"),
    ],
)
def test_a_monoenergetic_image_by_its_energy(
    changes: dict[str, Any], verdict: str, told: str
) -> None:
    reason = image_type_of(image_type=(*AXIAL, "VMI"), **changes)
    assert reason.verdict == verdict
    assert told in str(reason.value)


def test_the_energy_alone_tells_a_monoenergetic_image() -> None:
    assert image_type_of(energy_kev=40.0).verdict is Verdict.FAIL
    assert image_type_of(energy_kev=70.0).verdict is Verdict.WARNING


@pytest.mark.parametrize("name", ["derivation_description", "lut_label", "frame_comments"])
def test_other_texts_about_the_image(name: str) -> None:
    assert image_kind(ct_header(descriptions=((name, "VNC"),))) is ImageKind.VIRTUAL
    assert image_kind(ct_header(image_comments="VNC")) is ImageKind.VIRTUAL


def test_what_the_study_or_protocol_makes_besides_says_nothing_of_this_image() -> None:
    header = ct_header(
        protocol_name="DE Thorax VNC",
        study_description="CT with iodine map",
        descriptions=(("procedure_code_sequence", "VNC"),),
    )
    assert image_kind(header) is ImageKind.ACQUIRED


def test_a_map_among_the_slices_of_a_series_is_set_apart() -> None:
    scan = ct_series()
    maps = [
        replace(each, sop_instance_uid=f"{each.sop_instance_uid}.9", image_type=(*AXIAL, value))
        for each, value in zip(scan, ["MAT_REMOVED"] * len(scan), strict=True)
    ]
    decision = judge_eligibility([*maps, *scan], EligibilityPolicy())
    assert decision.eligible
    assert {h.image_type for h in decision.stack.headers} == {AXIAL}
    assert "map or virtual image" in str(
        next(reason.value for reason in decision.reasons if reason.rule == "stacks")
    )


def test_energies_of_one_series_are_not_mixed() -> None:
    low = ct_series(energy_kev=60.0)
    high = [
        replace(each, sop_instance_uid=f"{each.sop_instance_uid}.9", energy_kev=80.0)
        for each in low
    ]
    decision = judge_eligibility([*low, *high], EligibilityPolicy())
    assert decision.eligible
    assert len({h.energy_kev for h in decision.stack.headers}) == 1
