"""What the deliverer asks of a way to a destination, and what the faults of a peer mean to it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from dicomnode.decisions.delivery.class_advice import class_advice
from dicomnode.decisions.delivery.outcome import Ending, Outcome
from dicomnode.errors import PeerCause, PeerError


class Sender(Protocol):
    """One conversation with one destination: an association, or a session of HTTP."""

    def send(self, path: Path) -> Outcome:
        """Send one Part 10 file.

        Raises:
            PeerError: the conversation is over; what has not been sent yet needs another.
            OSError: the file cannot be read just now, or, without `errno`, is damaged.
            InvalidDicomError: the file is no DICOM.
        """


class NoneTakenError(PeerError):
    """The conversation is over: what came of one object would come of every other."""

    def __init__(self, outcome: Outcome, cause: PeerCause) -> None:
        super().__init__(outcome.text, cause)
        self.outcome = outcome


def outcome_of(error: PeerError, sop_class_uid: str = "") -> Outcome:
    """What the fault of a peer means for an object of a class that it was to take."""
    if isinstance(error, NoneTakenError):
        return error.outcome
    endings = {PeerCause.NOT_ACCEPTED: Ending.HOPELESS, PeerCause.OURS: Ending.OURS}
    ending = endings.get(error.cause, Ending.AGAIN)
    advice = f": {class_advice(sop_class_uid)}" if ending is Ending.HOPELESS else ""
    return Outcome(ending, error.cause.word, f"{error}{advice}")
