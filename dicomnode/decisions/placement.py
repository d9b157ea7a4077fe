"""How many workers a cluster is to have, by what waits for them.

None is ever taken away: who was placed for more work than usual ends by itself when nothing is left
to do. So the decision is only how many more there are to be.
"""

from __future__ import annotations

from dataclasses import dataclass

from storage.overview_records import Waiting


@dataclass(frozen=True)
class Bounds:
    """`least`: so many stay, whatever waits; `most`: no more are placed.

    `patience_seconds`: so long a series may wait before more are placed, and so long those that
    were placed last have before it is asked again whether they are enough.
    """

    least: int
    most: int
    patience_seconds: float = 60.0

    def __post_init__(self) -> None:
        """
        Raises:
            ValueError: no number of workers is within them.
        """
        if not 0 <= self.least <= self.most or self.most < 1:
            raise ValueError("at most one worker or more, and no more at least than at most")


@dataclass(frozen=True)
class Standing:
    """Workers that were placed and have not ended; those that wait for a place on the cluster, too.

    `placed_seconds`: since when there is none that was placed later.
    """

    count: int
    placed_seconds: float


def workers_to_place(standing: Standing, waiting: Waiting, bounds: Bounds) -> int:
    """How many more. Up to `least` at once; then as many as there are, one at least, while a series
    waits for too long: no more than series wait, and than `most`."""
    room = bounds.most - standing.count
    missing = max(0, bounds.least - standing.count)
    late = waiting.oldest_seconds > bounds.patience_seconds
    if not late or standing.placed_seconds < bounds.patience_seconds:
        return missing
    more = min(max(1, standing.count), waiting.count, room)
    return max(missing, more)
