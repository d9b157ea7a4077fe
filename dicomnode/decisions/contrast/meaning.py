"""What a term of a description means, and the form of the tables of terms."""

from __future__ import annotations

from enum import StrEnum


class Meaning(StrEnum):
    """What a term says of the series, or of the procedure, in whose description it stands."""

    GIVEN = "given"
    NOT_GIVEN = "not given"
    BOTH = "with and without"  # the procedure has series of either kind
    MADE_OF_CONTRAST = "a map or virtual image of a scan with contrast"
    MAP = "a map or virtual image"
    MONOENERGETIC = "a virtual monoenergetic image"
    NOTHING = "nothing"  # hides a shorter term within it


Terms = dict[Meaning, tuple[str, ...]]
