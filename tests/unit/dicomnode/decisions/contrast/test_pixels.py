"""The pixel witness of contrast: HU of blood and muscle to a verdict."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.decisions.contrast.contrast import Contrast
from dicomnode.decisions.contrast.pixels import pixel_witness
from inference.lungs.blood_pool import BloodPool


def measured(
    blood: float | None, muscle: float | None, blood_ml: float = 300.0, muscle_ml: float = 200.0
) -> BloodPool:
    return BloodPool(blood, blood, muscle, blood_ml, muscle_ml, 1000, 1000, 0.1)


@pytest.mark.parametrize(
    ("blood", "muscle", "verdict"),
    [
        (45, 55, "no"),  # as it usually is
        (30, 60, "no"),  # anaemia
        (62, 45, "no"),  # a high haematocrit, with a noisy kernel
        (48, 20, "no"),  # old, fatty muscle
        (72, 55, "no"),
        (85, 60, "unknown"),  # too bright for blood alone, too dark for iodine
        (74, 35, "unknown"),  # blood no brighter than it may be, far above muscle
        (95, 70, "unknown"),
        (100, 60, "yes"),  # late venous
        (130, 65, "yes"),  # portal venous
        (350, 62, "yes"),  # arterial
        (85, None, "unknown"),
        (60, None, "no"),
        (120, None, "yes"),
        (None, 50, "unknown"),
    ],
)
def test_verdict(blood: float | None, muscle: float | None, verdict: str) -> None:
    assert pixel_witness(measured(blood, muscle)).verdict == verdict


def test_the_evidence_is_the_measured_values() -> None:
    assert pixel_witness(measured(221.4, 61.6)).evidence == "blood 221 HU, muscle 62 HU"
    assert pixel_witness(measured(221.4, 61.6, muscle_ml=1.0)).evidence == (
        "blood 221 HU, no muscle in view"
    )


def test_too_little_blood_gives_no_verdict() -> None:
    witness = pixel_witness(measured(300.0, 50.0, blood_ml=3.2))
    assert witness.verdict is Contrast.UNKNOWN
    assert witness.evidence == "only 3 ml of soft tissue found between the lungs"


ORDER = [Contrast.NO, Contrast.UNKNOWN, Contrast.YES]


@given(st.floats(0, 700), st.floats(0, 700), st.none() | st.floats(10, 110))
def test_brighter_blood_never_speaks_less_for_contrast(
    one: float, other: float, muscle: float | None
) -> None:
    low, high = sorted((one, other))
    verdicts = [pixel_witness(measured(blood, muscle)).verdict for blood in (low, high)]
    assert verdicts == sorted(verdicts, key=ORDER.index)
