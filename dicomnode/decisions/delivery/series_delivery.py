"""How far the results of a series have got, in the words of who waits for them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DeliveryCounts:
    """How many deliveries of the results that stand have arrived, go on, or ended without."""

    arrived: int = 0
    open: int = 0
    refused: int = 0
    failed: int = 0


def delivery_word(counts: DeliveryCounts) -> str:
    """ "delivered" only when all that was to go has arrived; "" while nothing is amiss."""
    for count, word in ((counts.refused, "refused"), (counts.failed, "failed")):
        if count:
            others = counts.arrived + counts.open + counts.refused + counts.failed - count
            return f"partly {word}" if others else f"all {word}"
    return "delivered" if counts.arrived and not counts.open else ""
