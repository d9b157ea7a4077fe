"""A document as Markdown (CommonMark, with GitHub's tables); pictures are files beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from inference.evaluation.report.document import (
    Block,
    Document,
    Heading,
    Notice,
    Paragraph,
    Picture,
    Table,
)

_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~&])")


def to_markdown(document: Document) -> str:
    """The whole text; nothing in it is taken for markup."""
    parts = [f"# {_plain(document.title)}", *(_block(each) for each in document.blocks)]
    return "\n\n".join(parts) + "\n"


def _block(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {_plain(text)}"
        case Paragraph(text):
            return _plain(text)
        case Notice(text):
            return f"> **{_plain(text)}**"
        case Table(columns, rows):
            lines = [_row(columns), _row(["---"] * len(columns), plain=False)]
            return "\n".join([*lines, *(_row(row) for row in rows)])
        case Picture(name, words, _):
            return f"![{_plain(words)}]({name})"


def _row(cells: Sequence[str], plain: bool = True) -> str:
    return "| " + " | ".join(_plain(cell) if plain else cell for cell in cells) + " |"


def _plain(text: str) -> str:
    """On one line, with a backslash before what Markdown would take for markup."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
