"""What the status page is made of: plain texts, for the template."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Mood(StrEnum):
    """How a value is to be taken; the page never tells it by colour alone."""

    PLAIN = "plain"
    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True)
class Cell:
    text: str
    mood: Mood = Mood.PLAIN


Row = tuple[Cell | str, ...]


@dataclass(frozen=True)
class Table:
    """`numbers`: which columns hold numbers, from 0. `empty`: said where there is no row. `note`:
    under its heading. `sentences`: its first column holds words that may break."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    empty: str
    numbers: frozenset[int] = frozenset()
    note: str = ""
    sentences: bool = False

    @property
    def anchor(self) -> str:
        return self.title.lower().replace(" ", "-")

    @property
    def cells(self) -> tuple[tuple[Cell, ...], ...]:
        return tuple(
            tuple(each if isinstance(each, Cell) else Cell(each) for each in row)
            for row in self.rows
        )


@dataclass(frozen=True)
class Figure:
    """One large value with what it is, and a word about it."""

    title: str
    value: str
    note: str = ""
    mood: Mood = Mood.PLAIN


@dataclass(frozen=True)
class Notice:
    """A trouble. `since`: in words, empty where that is not known."""

    mood: Mood
    kind: str
    text: str
    remedy: str
    since: str


@dataclass(frozen=True)
class Bar:
    """One part of a column: where it stands in the picture, and what it is."""

    x: float
    y: float
    width: float
    height: float
    kind: str


@dataclass(frozen=True)
class Chart:
    """`bars` in a picture of `width` by `height`. `ticks`: the moments in the middle of its parts,
    from the left. `words`: all of it in one sentence, for who does not see it. `most`: the highest
    column."""

    width: int
    height: int
    bars: tuple[Bar, ...]
    ticks: tuple[str, ...]
    most: int
    words: str


@dataclass(frozen=True)
class Page:
    """`refresh_seconds`: 0 for a page that stands still."""

    name: str
    version: str
    at: str
    mood: Mood
    headline: str
    summary: str
    notices: tuple[Notice, ...]
    figures: tuple[Figure, ...]
    chart: Chart | None
    tables: tuple[Table, ...]
    refresh_seconds: int
