"""Which of the presentation contexts that a peer proposes are accepted, in which encoding, and how
many of its requests may be open at once.

The choice among the transfer syntaxes of a context is the acceptor's (PS3.8 section 9.3.3.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from dicomnode.decisions.eligibility.attribute_rules import DECODABLE

_ENCAPSULATED = ("1.2.840.10008.1.2.4.", "1.2.840.10008.1.2.8.")
"""What the standard names here is Explicit VR Little Endian around the compressed pixels, that
which is yet to come too (PS3.5 section A.4): JPEG XL, video, deflated frames."""

_DEFLATED_JPIP = frozenset({"1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"})


MOST_OUTSTANDING = 16
"""Of so many requests the way there and back no longer counts; and what waits is bounded."""


class ContextResult(IntEnum):
    """Result/Reason of a presentation context (PS3.8 table 9-18)."""

    ACCEPTED = 0
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


@dataclass(frozen=True)
class ContextAnswer:
    """`transfer_syntax` is the one accepted; with a rejection it means nothing (PS3.8 9.3.3.2)."""

    result: ContextResult
    transfer_syntax: str


def judge_storage_context(is_storage: bool, transfer_syntaxes: Sequence[str]) -> ContextAnswer:
    """What a context for a SOP class is answered. `transfer_syntaxes`: as proposed, at least one.

    The first that the node can decode; where there is none, the first that it can parse: then the
    instance is kept and named, and not analysed. In no other encoding can a data set be told whose
    it is, and each C-STORE would be refused.
    """
    first = transfer_syntaxes[0]
    if not is_storage:
        return ContextAnswer(ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED, first)
    for can in (DECODABLE.__contains__, _can_be_parsed):
        for syntax in filter(can, transfer_syntaxes):
            return ContextAnswer(ContextResult.ACCEPTED, syntax)
    return ContextAnswer(ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED, first)


def _can_be_parsed(syntax: str) -> bool:
    return syntax.startswith(_ENCAPSULATED) and syntax not in _DEFLATED_JPIP


def judge_operations_window(proposed: int) -> int:
    """How many operations the requestor may invoke before their answers (PS3.7 D.3.3.3).

    `proposed`: 0 for any number. The answer is never more than was proposed.
    """
    return min(proposed or MOST_OUTSTANDING, MOST_OUTSTANDING)
