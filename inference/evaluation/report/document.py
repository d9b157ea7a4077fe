"""A report as a list of blocks, to be written as Markdown or as HTML."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Heading:
    """Of a section, `level` 2, of a part of one, 3, and so on to 6."""

    text: str
    level: int = 2

    @property
    def anchor(self) -> str:
        """What a link within the document calls it, as GitHub does."""
        kept = "".join(c for c in self.text.lower() if c.isalnum() or c in " -_")
        return kept.replace(" ", "-")


@dataclass(frozen=True)
class Contents:
    """A link to each heading of the document down to this level."""

    level: int = 3


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


Block = Heading | Contents | Paragraph | Notice | Table | Picture


@dataclass(frozen=True)
class Document:
    """`title`: one line."""

    title: str
    blocks: tuple[Block, ...]

    def headings(self, level: int) -> tuple[Heading, ...]:
        """Down to this level, in order."""
        found = (each for each in self.blocks if isinstance(each, Heading))
        return tuple(each for each in found if each.level <= level)

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """In the order in which they come."""
        return tuple(each for each in self.blocks if isinstance(each, Picture))
