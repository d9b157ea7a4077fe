"""What the card of a lung network says about its input."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LungInput:
    """Whole slices, turned to the patient's axes, windowed and resized to a square."""

    hu_low: float = -1024.0
    """HU that becomes 0."""
    hu_high: float = 600.0
    """HU that becomes 1."""
    size: int = 256
    """Rows and columns that the network sees."""

    def problems(self) -> tuple[str, ...]:
        """What makes these values unusable; empty when nothing does."""
        found = []
        if not -2000 <= self.hu_low < self.hu_high <= 4000:
            found.append(f"window {self.hu_low} to {self.hu_high} HU is not one")
        if self.size % 16 or not 32 <= self.size <= 1024:
            found.append(f"size {self.size} is not a multiple of 16 from 32 to 1024")
        return tuple(found)
