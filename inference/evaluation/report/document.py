"""A report as a list of blocks, to be written as Markdown or as HTML."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Heading:
    """Of a section, `level` 2, or of a part of one, 3."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    """Plain text."""

    text: str


@dataclass(frozen=True)
class Notice:
    """What a reader must not miss."""

    text: str


@dataclass(frozen=True)
class Table:
    """`rows`: as many cells as there are `columns`."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"a row has another number of cells than {len(self.columns)}")


@dataclass(frozen=True)
class Picture:
    """`name`: of its file beside the report; `png`: its bytes; `words`: what it shows."""

    name: str
    words: str
    png: bytes


Block = Heading | Paragraph | Notice | Table | Picture


@dataclass(frozen=True)
class Document:
    """`title`: one line."""

    title: str
    blocks: tuple[Block, ...]

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """In the order in which they come."""
        return tuple(each for each in self.blocks if isinstance(each, Picture))
