"""One series of an archive: what is here is not asked for again, what fails is, within the rate."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass

from dicomnode.clock import Clock
from dicomnode.decisions.pulling import (
    Answered,
    Counts,
    Follow,
    FoundSeries,
    Wanted,
    pause_after,
)
from dicomnode.errors import PeerCause, PeerError
from dicomnode.pull.archive import Archive

_LOOK_SECONDS = 0.25
_SETTLE_SECONDS = 15.0
"""After the last that came: what the archive says it sent is on its way to the index."""

_MOST_SILENCES = 3
"""So often in a row an archive may not be reached, or break off; then it is left alone."""

_UNNAMED = ""
"""Stands for the instances of a series whose archive names none."""

Known = Callable[[Collection[str]], set[str]]
"""Which of these SOP instances are here."""

Progress = Callable[[FoundSeries, int, int], object]
"""Told of a series, how many instances of it are here, and how many there are."""


Turn = Callable[[int], object]
"""Waits until so many may be asked for, where others ask the same archive."""


@dataclass(frozen=True)
class SeriesPulled:
    """What became of one series. `instances`: as many as the archive has, as far as it says.

    `lacking`: those that were asked for and did not come. `problem`: why, "" where all came.
    """

    study_instance_uid: str
    series_instance_uid: str
    instances: int
    here_before: int
    came: int
    lacking: int
    problem: str = ""


class Pull:
    """From one archive, one series after the other."""

    def __init__(
        self,
        archive: Archive,
        known: Known,
        images_per_second: float,
        stop: threading.Event,
        told: Progress = lambda *_told: None,
        clock: Clock | None = None,
        turn: Turn = lambda _images: None,
    ) -> None:
        """`images_per_second`: 0 for no limit. `stop`: set, to break off."""
        self._turn = turn
        self._archive, self._known, self._rate = archive, known, images_per_second
        self._stop, self._told, self._clock = stop, told, clock or Clock()
        self._silences = 0

    def series(self, found: FoundSeries) -> SeriesPulled:
        """Have sent what is not here.

        Raises:
            PeerError: nothing more can be had of this archive; says what its administrator can do.
        """
        there = self._archive.instances(found)
        before = self._known(there)
        wanted = Wanted(sorted(there - before) or [_UNNAMED] * (not there), whole=not there)
        total, lacking = len(there) or found.instances or 0, len(wanted.missing)
        problem = ""
        while wanted.missing and not self._stop.is_set():
            portion = wanted.portion(self._rate, len(there))
            self._turn(len(portion) or total or 1)
            if self._stop.is_set():
                break
            begun = self._clock.seconds()
            answer = self._asked(found, portion, total - len(wanted.missing), total)
            came = self._arrived(portion or wanted.missing, answer)
            wanted.answered(portion, came, answer.follow)
            problem = answer.text or _not_seen(answer, came) or problem
            self._told(found, total - len(wanted.missing) - len(wanted.given_up), total)
            moved = max(len(came), answer.counts.sent or 0)
            rest = pause_after(moved, self._clock.seconds() - begun, self._rate)
            failed = answer.follow not in (Follow.DONE, Follow.PARTLY)
            self._stop.wait(max(rest, wanted.pause_seconds if failed and wanted.missing else 0.0))
        still = len(wanted.missing) + len(wanted.given_up)
        return SeriesPulled(
            found.study_instance_uid,
            found.series_instance_uid,
            total,
            len(before),
            lacking - still,
            still,
            (problem or "stopped") if still else "",
        )

    def _asked(
        self, found: FoundSeries, portion: tuple[str, ...], here: int, total: int
    ) -> Answered:
        def told(counts: Counts) -> None:
            self._told(found, min(here + (counts.sent or 0), total), total)

        try:
            answer = self._archive.retrieve(found, portion, told)
        except PeerError as error:
            self._silences += 1
            if self._silences >= _MOST_SILENCES or error.cause is PeerCause.NOT_ACCEPTED:
                raise
            return Answered(Follow.AGAIN, str(error))
        self._silences = 0
        if answer.follow is Follow.STOP:
            raise PeerError(f"{self._archive.name} {answer.text}", PeerCause.STATUS)
        return answer

    def _arrived(self, asked: Collection[str], answer: Answered) -> set[str]:
        """Those of what was asked for that are here: what was sent may be a little behind."""
        if set(asked) == {_UNNAMED}:
            return {_UNNAMED} if answer.follow is Follow.DONE else set()
        sent = answer.counts.sent
        if sent is None:
            sent = len(asked) if answer.follow in (Follow.DONE, Follow.PARTLY) else 0
        here, until = self._known(asked), self._clock.seconds() + _SETTLE_SECONDS
        while len(here) < min(sent, len(asked)) and self._clock.seconds() < until:
            self._stop.wait(_LOOK_SECONDS)
            more = self._known(asked)
            if len(more) > len(here):
                here, until = more, self._clock.seconds() + _SETTLE_SECONDS
            elif self._stop.is_set():
                break
        return here


def _not_seen(answer: Answered, came: Collection[str]) -> str:
    sent = answer.counts.sent
    if came or not sent:
        return ""
    return (
        f"it says that it sent {sent}, and nothing came here: is the address that it has for this"
        " node's AE title that of this machine, and the port that of [receive]?"
    )
