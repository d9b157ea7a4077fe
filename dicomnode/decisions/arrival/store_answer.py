"""What a C-STORE request is answered, and when (PS3.4 table B.2-1, PS3.7 annex C)."""

from __future__ import annotations

from dataclasses import dataclass

SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700
NOT_MATCHING = 0xA900
CANNOT_UNDERSTAND = 0xC000
NOT_AUTHORIZED = 0x0124
HANDLER_FAULT = 0xC211  # pynetdicom's: unhandled exception in the handler of a C-STORE


@dataclass(frozen=True)
class AnswerRow:
    """`name`: the standard's; `when`: a half sentence."""

    status: int
    name: str
    when: str


STORE_ANSWERS = (
    AnswerRow(SUCCESS, "Success", "the instance is durable on disk under its own name"),
    AnswerRow(
        OUT_OF_RESOURCES,
        "Refused: Out of Resources",
        "less room on the disk than [disk] asks for, or the disk fails; nothing was kept, and the"
        " same request may succeed later",
    ),
    AnswerRow(
        NOT_MATCHING,
        "Error: Data Set does not match SOP Class",
        "SOP class or instance of the command are not those of the data set",
    ),
    AnswerRow(
        CANNOT_UNDERSTAND,
        "Error: Cannot understand",
        "the data set does not tell whose instance it is: one of its UIDs is missing or no UID, or"
        " it cannot be parsed as far as that",
    ),
    AnswerRow(
        NOT_AUTHORIZED,
        "Refused: Not authorized",
        "the AE title is that of the node's own canary, and the study is none that it runs now",
    ),
    AnswerRow(HANDLER_FAULT, "Error: Cannot understand", "a fault of this program; see its log"),
)
