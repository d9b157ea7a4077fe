"""Is it an image as acquired? Maps, virtual images and monoenergetic ones of spectral CT are not.

PS3.3 C.8.2.1.1.1 and C.8.15.3.1.4 name them in value 4 of Image Type and Frame Type (Supplement
188); workstations that are older, or do otherwise, name them in descriptions. HU as acquired are
those of one spectrum or of several mixed linearly, which nothing here takes for virtual.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from dicomnode.decisions.contrast.meaning import Meaning
from dicomnode.decisions.contrast.text import read_terms
from dicomnode.decisions.instance_header import InstanceHeader
from dicomnode.decisions.term_table import normal

MAPS = frozenset(
    {
        *("MAT_SPECIFIC", "MAT_REMOVED", "MAT_FRACTIONAL", "MAT_VALUE_BASED", "MAT_MODIFIED"),
        *("EFF_ATOMIC_NUM", "EFFECTIVE_ATOMIC_NUMBER", "ELECTRON_DENSITY"),
        "IODINE",
    }
)
"""Values of Image Type from the third on (PS3.3 C.8.15.3.1.4), and what a workstation writes."""

MONOENERGETIC = "VMI"

LIKE_120_KV = (60.0, 80.0)
"""keV at which soft tissue has about the HU of a scan at 120 kV (70 to 75 keV is nearest)."""

_TEXTS = frozenset(
    {
        *("series_description_code_sequence", "frame_comments", "derivation_description"),
        *("derivation_code_sequence", "lut_label", "lut_explanation"),
    }
)
"""Texts about this very image, among the pairs of `InstanceHeader.descriptions`."""

_KEV = re.compile(r"(?<![\d.,])(\d{2,3}(?:[.,]\d+)?)[\s_]*kev(?![a-z])")
_AFTER_MONO = re.compile(
    r"(?:\bmono(?!source)[a-z]*|\bvmi)[\s_]*(?:plus|\+)?[\s_=-]*(\d{2,3})(?![\d.,]|[\s_]*(?:kv(?!e)|mm))"
)


@dataclass(frozen=True)
class VirtualImage:
    """`sign`: what tells it, a term of ours. `energies_kev`: of a monoenergetic one, () unknown."""

    sign: str
    monoenergetic: bool = False
    energies_kev: tuple[float, ...] = ()

    @property
    def as_acquired(self) -> bool:
        """Whether its HU may be taken for those of a scan at 120 kV."""
        low, high = LIKE_120_KV
        known = bool(self.energies_kev)
        return self.monoenergetic and known and all(low <= e <= high for e in self.energies_kev)

    def __str__(self) -> str:
        if not self.monoenergetic:
            return f"a map or virtual image, not HU as acquired: {self.sign}"
        text = " and ".join(f"{energy:g} keV" for energy in self.energies_kev)
        low, high = LIKE_120_KV
        near = f"like {low:g} to {high:g} keV" if self.as_acquired else "not HU as acquired"
        return f"a virtual monoenergetic image, {text or 'of unknown energy'}, {near}: {self.sign}"


def virtual_image(header: InstanceHeader) -> VirtualImage | None:
    """What tells that the image is none as acquired; None where nothing does."""
    more = (text for field, text in header.descriptions if field in _TEXTS)
    texts = (header.series_description, header.image_comments, *more)
    return _judged(tuple(v.upper() for v in header.image_type[2:]), texts, header.energy_kev)


@lru_cache(maxsize=256)
def _judged(
    image_type: tuple[str, ...], texts: tuple[str, ...], energy_kev: float | None
) -> VirtualImage | None:
    maps = sorted(MAPS & set(image_type))
    if maps:
        return VirtualImage(f"Image Type says {maps[0]}")
    found = [pair for text in (*image_type, *texts) for pair in read_terms(text)]
    for term, meaning in found:
        if meaning in {Meaning.MAP, Meaning.MADE_OF_CONTRAST}:
            return VirtualImage(f"described as {term!r}")
    return _monoenergetic(image_type, found, " ".join((*image_type, *texts)), energy_kev)


def _monoenergetic(
    image_type: tuple[str, ...],
    found: list[tuple[str, Meaning]],
    written: str,
    energy_kev: float | None,
) -> VirtualImage | None:
    terms = [term for term, meaning in found if meaning is Meaning.MONOENERGETIC]
    in_words = _energies(written)
    energies = tuple(sorted({*in_words, *(() if energy_kev is None else (energy_kev,))}))
    if MONOENERGETIC in image_type:
        return VirtualImage("Image Type says VMI", True, energies)
    if energy_kev is not None:
        return VirtualImage("Monoenergetic Energy Equivalent is told", True, energies)
    if terms or in_words:
        return VirtualImage(f"described as {(terms or ['kev'])[0]!r}", True, energies)
    return None


def _energies(written: str) -> set[float]:
    """keV as written: "MonoE 40keV", "70 keV", "Mono+ 55"."""
    text = normal(written)
    found = (*_KEV.findall(text), *_AFTER_MONO.findall(text))
    return {float(each.replace(",", ".")) for each in found}
