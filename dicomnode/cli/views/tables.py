"""Tables of plain text: as wide as the terminal is; in a pipe a line for each row, however long.

On a terminal UIDs are shortened to an ending that no other in the table has, and by which commands
find what is meant, and digests to their beginning; in a pipe they are whole.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

_UID = re.compile(r"(?<![\w.…])(?:[0-2](?:\.\d+){4,}|2\.25\.\d+)(?:~\d+)?")
"""Of an object, or the key of a part of a series."""

_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")
_DIGITS = 12

_STANDARDS = "1.2.840.10008."
"""What it begins with is the UID of a class or a transfer syntax."""

_SHORT_ENOUGH = 20
_ENDINGS = (8, 12, 16, 24)
"""Lengths of endings that are tried, in characters."""


@dataclass(frozen=True)
class Table:
    """`whole`: so many of its first columns are never folded. `rows`: cells, and their styles."""

    title: str
    headings: tuple[str, ...]
    whole: int = 0
    rows: list[tuple[tuple[str, ...], tuple[str, ...]]] = field(default_factory=list)


def new_table(title: str, *headings: str, whole: int = 0) -> Table:
    """An empty table whose cells are folded, never cut."""
    return Table(title, headings, whole)


def add_row(table: Table, *cells: str, styles: tuple[str, ...] = ()) -> None:
    """Add a row; what peers, headers and files say is text, never rich's markup."""
    table.rows.append((cells, styles + ("",) * (len(cells) - len(styles))))


def print_table(
    console: Console,
    table: Table,
    endings: Mapping[str, str] | None = None,
    nothing: str = "",
) -> None:
    """`endings`: those by which the database finds a series alone, where they are known. `nothing`:
    what is said in place of a table without rows."""
    if nothing and not table.rows:
        console.print(Text(nothing), soft_wrap=True)
        return
    if console.is_terminal:
        console.print(for_terminal(table, endings))
        return
    cells = [tuple(one_line(cell) or "–" for cell in row) for row, _ in table.rows]
    for line in (*([table.title] if table.title else []), *_aligned([table.headings, *cells])):
        console.print(Text(line), soft_wrap=True)


def nothing_found(what: str, **wanted: object) -> str:
    """That there is none of it, and what was looked for; what is empty was not asked for."""
    told = [f"{name} {_words(value)}" for name, value in wanted.items() if value]
    return f"no {what} found" + (f" of {', '.join(told)}" if told else "")


def _words(value: object) -> str:
    return " or ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def for_terminal(table: Table, endings: Mapping[str, str] | None = None) -> RichTable:
    """With UIDs shortened; what does not fit its column is folded."""
    shown = RichTable(title=table.title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    shown.pad_edge = False
    for number, heading in enumerate(table.headings):
        shown.add_column(heading, overflow="fold", no_wrap=number < table.whole)
    known = _endings_among(cell for cells, _ in table.rows for cell in cells) | {
        uid: end for uid, end in (endings or {}).items() if end != uid
    }
    for cells, styles in table.rows:
        short = (_shortened(cell, known) for cell in cells)
        shown.add_row(*(Text(cell, style) for cell, style in zip(short, styles, strict=True)))
    return shown


def short_uids(texts: Sequence[str]) -> list[str]:
    """With the UIDs in them shortened, as in a table."""
    endings = _endings_among(texts)
    return [_shortened(text, endings) for text in texts]


def _endings_among(texts: Iterable[str]) -> dict[str, str]:
    """The shortest ending of each UID, of a few lengths, that no other UID in these texts has."""
    uids = {uid for text in texts for uid in _UID.findall(text)}
    found = {uid: uid for uid in uids if len(uid) <= _SHORT_ENOUGH or uid.startswith(_STANDARDS)}
    for length in _ENDINGS:
        same = Counter(uid[-length:] for uid in uids)
        alone = (uid for uid in uids if same[uid[-length:]] == 1)
        found = {uid: uid[-length:] for uid in alone} | found
    return found


def _shortened(text: str, endings: Mapping[str, str]) -> str:
    def short(match: re.Match[str]) -> str:
        ending = endings.get(match[0], match[0])
        return ending if ending == match[0] else f"…{ending}"

    return _DIGEST.sub(lambda match: f"{match[0][:_DIGITS]}…", _UID.sub(short, text))


def _aligned(rows: Sequence[Iterable[str]]) -> Iterator[str]:
    """Columns parted by two spaces, each as wide as its longest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def one_line(text: str) -> str:
    """Its lines in one, without what else would break a line."""
    return "".join(c if c.isprintable() else "?" for c in "; ".join(text.splitlines()))
