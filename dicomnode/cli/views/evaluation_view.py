"""How `dicomnode model evaluate` shows its way and its outcome to a person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import MofNCompleteColumn, TimeRemainingColumn
from rich.text import Text

from dicomnode.cli.views.progress import DESCRIBED, bars
from dicomnode.cli.views.tables import add_row, new_table, print_table
from inference.evaluation.report.document import Document, Heading, Notice, Paragraph, Table
from inference.progress import Progress


@contextmanager
def scan_progress(console: Console) -> Iterator[Progress]:
    """A progress bar; what it yields is told scan, done and total."""
    columns = (*DESCRIBED, MofNCompleteColumn(), TimeRemainingColumn())
    with bars(*columns, console=console) as bar:
        task = bar.add_task("loading", total=None)

        def on_progress(scan: str, done: int, total: int) -> None:
            bar.update(task, description=scan or "done", completed=done, total=total)

        yield on_progress


def print_document(console: Console, document: Document) -> None:
    """The report without its pictures."""
    console.print(Text(document.title, "bold"))
    heading = ""
    for block in document.blocks:
        match block:
            case Heading(text, _):
                heading = text
            case Paragraph(text):
                console.print(Text(text))
            case Notice(text):
                console.print(Text(text, "bold yellow"))
            case Table(columns, rows):
                table = new_table(heading, *columns)
                for row in rows:
                    add_row(table, *row)
                print_table(console, table)
            case _:
                pass  # a picture
