"""What computing in another precision changes, as it was measured: it stands on a bundle's card."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ENGINES = frozenset({"openvino", "cuda"})
"""Those that can compute in bfloat16, by `EngineName`."""


@dataclass(frozen=True)
class PrecisionProof:
    """bfloat16 against float32 of the same weights, on the same scans and by the same engine.

    `version` is of the engine, `processor` a name, `native` whether that computes in bfloat16
    itself; `data` says in words which scans, of which there were `cases`. `largest_change` and
    `mean_change` are of a scan's scores, the one that changed most; of lungs, 1 less the Dice of
    both masks. `classes_changed`: scans of which something else was said, or nothing.
    `weights_sha256`: of which weights; on the card of others it proves nothing.

    Where there is heat: `heat_moved_mm`, how far at most the place of its maximum is from where it
    was, and `heat_correlation`, the least of a scan. For a person: two places that are nearly as
    hot may change their rank.
    """

    engine: Literal["openvino", "cuda"]
    version: str
    processor: str
    native: bool
    data: str
    cases: int
    largest_change: float
    mean_change: float
    classes_changed: int
    heat_moved_mm: float = 0.0
    heat_correlation: float = 1.0
    precision: Literal["bf16"] = "bf16"
    weights_sha256: str = ""

    def shortfalls(self, tolerance: float) -> tuple[str, ...]:
        """Why it does not allow bfloat16, each in a sentence; empty when it does."""
        found = []
        if not self.native:
            found.append("it was measured where bfloat16 is emulated")
        if self.largest_change > tolerance:
            found.append(f"it changes {self.largest_change:.2g}, tolerated is {tolerance:g}")
        if self.classes_changed:
            found.append(f"{self.classes_changed} of {self.cases} scans are called otherwise")
        return tuple(found)

    def problems(self) -> tuple[str, ...]:
        """What cannot be; empty when nothing is wrong."""
        found = []
        if not 0 <= self.mean_change <= self.largest_change <= 1:
            found.append(f"changes {self.mean_change} (mean) and {self.largest_change} (largest)")
        if not 0 <= self.classes_changed <= self.cases or not self.cases:
            found.append(f"{self.classes_changed} of {self.cases} cases")
        if not -1 <= self.heat_correlation <= 1 or self.heat_moved_mm < 0:
            found.append(f"heat {self.heat_moved_mm} mm away, correlation {self.heat_correlation}")
        return tuple(f"precision on {self.engine}: {each}" for each in found)
