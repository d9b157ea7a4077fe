"""Tables: text as it is, whole first columns in a pipe, everything kept in a narrow terminal."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from dicomnode.cli.views.tables import add_row, new_table, print_table

UID = "1.2.826.0.1.3680043.10.77." + "1" * 38
REASON = "a reason of many words " * 12


def printed(*cells: str, terminal: bool, styles: tuple[str, ...] = ()) -> str:
    table = new_table("", "series", "why")
    add_row(table, *cells, styles=styles)
    out = StringIO()
    console = Console(file=out, width=60, force_terminal=terminal, color_system="standard")
    print_table(console, table)
    return out.getvalue()


def cells_of(column: int, text: str) -> str:
    rows = [line.split("│") for line in text.splitlines() if line.startswith("│")]
    return "".join(row[column].strip() for row in rows)


def test_in_a_pipe_the_first_column_stays_in_one_piece() -> None:
    text = printed(UID, REASON, terminal=False)
    assert UID in text
    assert cells_of(2, text).replace(" ", "") == REASON.replace(" ", "")


def test_a_narrow_terminal_folds_and_loses_nothing() -> None:
    text = printed(UID, REASON, terminal=True)
    assert max(len(line) for line in text.splitlines() if line.startswith("│")) <= 60
    assert cells_of(1, text) == UID
    assert cells_of(2, text).replace(" ", "") == REASON.replace(" ", "")


def test_brackets_are_text_and_styles_are_given_apart() -> None:
    text = printed("[/b] [red]x", "fail", terminal=True, styles=("", "red"))
    assert "[/b] [red]x" in text
    assert "\x1b[31mfail" in text
    assert "\x1b[31m" not in printed("[red]x", "fail", terminal=True)
