"""Was contrast given? What the attenuation of the blood says.

Unenhanced blood follows the haematocrit: 40 to 50 HU in the vessels and heart of people who are not
anaemic, 25 to 37 HU of those who are (quartiles in 325 people, doi 10.21203/rs.3.rs-1420003/v1);
blood is seldom above 60 HU. Muscle has 35 to 65 HU. Iodine takes blood to 100 HU and more in the
latest phase that is used, muscle not above 80. The limits stand between, with room above for what
noise leaves in the bright quarter that is measured (about 10 HU); between them is `unknown`.
"""

from __future__ import annotations

from typing import Protocol

from dicomnode.decisions.contrast.contrast import Contrast, ContrastWitness

LEAST_ML = 15.0
"""Soft tissue between the lungs needed for a verdict: a centimetre of the great vessels' height."""
LEAST_MUSCLE_ML = 5.0
"""Muscle needed for a comparison; with less, blood is judged alone."""
ENHANCED_BLOOD_HU = 90.0
ENHANCED_OVER_MUSCLE_HU = 40.0
PLAIN_BLOOD_HU = 75.0
PLAIN_OVER_MUSCLE_HU = 30.0
ENHANCED_ALONE_HU = 110.0
"""Without muscle to compare with; more, because a scanner may be out of calibration."""
PLAIN_ALONE_HU = 65.0


class BloodPoolMeasure(Protocol):
    """What is judged: `inference.lungs.blood_pool.BloodPool`, HU and ml."""

    @property
    def blood_hu(self) -> float | None: ...
    @property
    def blood_ml(self) -> float: ...
    @property
    def muscle_hu(self) -> float | None: ...
    @property
    def muscle_ml(self) -> float: ...


def pixel_witness(measured: BloodPoolMeasure) -> ContrastWitness:
    """`yes` or `no` where blood is clearly above or not above muscle; else `unknown`, and why."""
    blood, muscle = measured.blood_hu, measured.muscle_hu
    if blood is None or measured.blood_ml < LEAST_ML:
        text = f"only {measured.blood_ml:.0f} ml of soft tissue found between the lungs"
        return ContrastWitness(Contrast.UNKNOWN, text)
    if muscle is None or measured.muscle_ml < LEAST_MUSCLE_ML:
        text = f"blood {blood:.0f} HU, no muscle in view"
        return ContrastWitness(_alone(blood), text)
    return ContrastWitness(
        _compared(blood, muscle), f"blood {blood:.0f} HU, muscle {muscle:.0f} HU"
    )


def _compared(blood_hu: float, muscle_hu: float) -> Contrast:
    over = blood_hu - muscle_hu
    if blood_hu >= ENHANCED_BLOOD_HU and over >= ENHANCED_OVER_MUSCLE_HU:
        return Contrast.YES
    plain = blood_hu <= PLAIN_BLOOD_HU and over <= PLAIN_OVER_MUSCLE_HU
    return Contrast.NO if plain else Contrast.UNKNOWN


def _alone(blood_hu: float) -> Contrast:
    if blood_hu >= ENHANCED_ALONE_HU:
        return Contrast.YES
    return Contrast.NO if blood_hu <= PLAIN_ALONE_HU else Contrast.UNKNOWN
