"""Tables: text as it is, one line a row in a pipe, UIDs that can be copied, nothing lost."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from dicomnode.cli.views.tables import Table, add_row, new_table, nothing_found, print_table

UID = "1.2.826.0.1.3680043.10.77." + "1" * 38
REASON = "a reason of many words " * 12


def printed(*cells: str, terminal: bool, styles: tuple[str, ...] = ()) -> str:
    table = new_table("", "series", "why")
    add_row(table, *cells, styles=styles)
    return shown(table, terminal=terminal)


def shown(
    table: Table, *, terminal: bool, endings: dict[str, str] | None = None, nothing: str = ""
) -> str:
    out = StringIO()
    console = Console(file=out, width=60, force_terminal=terminal, color_system="standard")
    print_table(console, table, endings, nothing)
    return out.getvalue()


def test_in_a_pipe_a_row_is_one_line_and_uids_are_whole() -> None:
    table = new_table("two series", "series", "from", "why")
    add_row(table, UID, "", "one\ntwo\x1b")
    add_row(table, "1.2", "CT1", REASON.strip())
    assert shown(table, terminal=False).splitlines() == [
        "two series",
        f"{'series':<64}  from  why",
        f"{UID}  –     one; two?",
        f"{'1.2':<64}  CT1   {REASON.strip()}",
    ]


def test_a_narrow_terminal_folds_and_loses_nothing() -> None:
    text = printed("1.2.3", REASON, terminal=True)
    assert max(map(len, text.splitlines()[1:])) <= 60
    words = text.replace("1.2.3", "").split()
    assert words[words.index("a") :] == REASON.split()


def test_on_a_terminal_a_uid_is_an_ending_that_no_other_there_has() -> None:
    table = new_table("", "series", "what", whole=1)
    twins = [f"1.2.840.113619.2.55.3.{number}.20261128" for number in (11, 22)]
    for uid in twins:
        add_row(table, uid, f"dicomnode queue hold: series {uid} 2.25.{'7' * 30} from 192.0.2.99")
    add_row(table, f"{UID}~2", "an address is none: 192.0.2.99, and 1.2.3.4.5 is short")
    text = shown(table, terminal=True)
    for number in (11, 22):
        assert len([line for line in text.splitlines() if f"….{number}.20261128 " in line]) == 1
    assert "…111111~2 " in text
    assert "1.2.840" not in text
    assert "…77777777" in text
    add_row(table, "", f"sha256 is {'0123456789abcdef' * 4}, the card")
    assert "sha256 is 0123456789ab…, the card" in shown(table, terminal=True)
    known = shown(table, terminal=True, endings={twins[0]: "9.20261128", f"{UID}~2": f"{UID}~2"})
    assert known.splitlines()[1].startswith("…9.20261128 "), (
        "that by which the database finds it alone"
    )


def test_where_nothing_is_found_it_is_said_for_what_was_looked() -> None:
    nothing = nothing_found("delivery", destination=["pacs", "web"], state=None, since="2h")
    assert nothing == "no delivery found of destination pacs or web, since 2h"
    assert nothing_found("message") == "no message found"
    for terminal in (True, False):
        table = new_table("deliveries", "objects")
        assert shown(table, terminal=terminal, nothing=nothing).strip() == nothing


def test_brackets_are_text_and_styles_are_given_apart() -> None:
    text = printed("[/b] [red]x", "fail", terminal=True, styles=("", "red"))
    assert "[/b] [red]x" in text
    assert "\x1b[31mfail" in text
    assert "\x1b[31m" not in printed("[red]x", "fail", terminal=True)
