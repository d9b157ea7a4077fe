"""Tables of plain text, for the terminal and for pipes."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPE_WIDTH = 200
"""Columns where no terminal says how many there are."""


def new_table(title: str, *headings: str) -> Table:
    """An empty table whose cells are folded, never cut."""
    table = Table(title=title)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def add_row(table: Table, *cells: str, styles: tuple[str, ...] = ()) -> None:
    """Add a row; what peers, headers and files say is text, never rich's markup."""
    styles += ("",) * (len(cells) - len(styles))
    table.add_row(*(Text(cell, style) for cell, style in zip(cells, styles, strict=True)))


def print_table(console: Console, table: Table) -> None:
    """Print it as wide as the terminal is; in a pipe the first column stays whole, for `grep`."""
    if console.is_terminal:
        console.print(table)
        return
    table.columns[0].no_wrap = True
    Console(file=console.file, width=max(console.width, PIPE_WIDTH)).print(table)
