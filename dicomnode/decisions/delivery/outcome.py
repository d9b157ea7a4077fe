"""What came of sending one object, or of asking for the promise to keep it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

_COMMENT = ' (it says: "'


class Ending(StrEnum):
    """What an answer means for the delivery."""

    STORED = "stored"
    AGAIN = "again"  # later, the same may succeed
    HOPELESS = (
        "hopeless"  # the same object would be refused again: a person has to change something
    )
    OURS = "ours"  # a fault on our side: the object, or its file


@dataclass(frozen=True)
class Outcome:
    """`status`: "0xA700", "HTTP 409", or the name of a cause. `text`: one sentence for the
    administrator, empty where nothing is to be said. `warning`: stored, but not just as it was.
    `wait_seconds`: what the peer asks for before another attempt. `comment`: the peer's own words,
    which may name a patient: they are shown where a delivery is, and never logged."""

    ending: Ending
    status: str
    text: str = ""
    warning: bool = False
    wait_seconds: float = 0.0
    comment: str = ""

    @property
    def shown(self) -> str:
        """The sentence with the peer's own words."""
        return f'{self.text}{_COMMENT}{self.comment}")' if self.comment else self.text


def without_comment(shown: str) -> str:
    """What `Outcome.shown` told, without the peer's own words, which may name a patient."""
    return shown.partition(_COMMENT)[0]
