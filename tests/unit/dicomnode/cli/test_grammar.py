"""One grammar for all commands: an example and a word of help for each, order, exit statuses."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from dicomnode.cli.grammar import EXAMPLES, ORDER, STATUSES, ExitStatus, exit_status
from dicomnode.errors import ConfigurationError, DataError, PeerCause, PeerError
from inference.errors import BundleError
from storage.errors import DatabaseUnavailableError, DatabaseUrlError
from support.command import app

ROOT: Any = get_command(app)

NO_JSON = {
    *("serve", "worker", "workers", "campaign run"),  # log; `status`, `campaign status` tell
    "demo",  # is looked at
    "conformance",  # a document
    *("model train", "model simulate", "model evaluate"),  # leave files, in JSON and CSV
}

ASKS = {
    "deliveries drop",
    "results retract",
    "results reinstate",
    "database adopt",
    "database move",
    "database downgrade",
    "database forget",
    "queue cancel",
}
"""What cannot be undone at all, or not quite."""


def commands(group: Any = ROOT, before: str = "") -> Iterator[tuple[str, Any]]:
    """Each by its words; hidden ones are the node's own."""
    for name, command in group.commands.items():
        if command.hidden:
            continue
        if hasattr(command, "commands"):
            yield from commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


COMMANDS = dict(commands())


def options(name: str) -> set[str]:
    return {option for each in COMMANDS[name].params for option in each.opts}


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_ends_its_help_with_an_example_that_it_takes(name: str) -> None:
    example = EXAMPLES[name]
    assert COMMANDS[name].epilog == f"Example: {example}"
    words = shlex.split(example.partition(" > ")[0].partition(" || ")[0])
    before = ["dicomnode", *name.split()]
    assert words[: len(before)] == before
    COMMANDS[name].make_context(name, words[len(before) :])
    assert COMMANDS[name].help, "and says what it does"


def test_no_example_is_of_a_command_that_is_not() -> None:
    assert EXAMPLES.keys() == COMMANDS.keys()


def test_the_top_level_has_its_order_and_tells_the_exit_statuses() -> None:
    shown = [name for name in ROOT.list_commands(None) if not ROOT.commands[name].hidden]
    assert tuple(shown) == ORDER
    text = " ".join(CliRunner().invoke(app, ["--help"]).output.split())
    assert STATUSES in text


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - NO_JSON))
def test_a_program_may_ask_for_json(name: str) -> None:
    assert "--json" in options(name)


def test_what_destroys_asks_and_nothing_else_does() -> None:
    assert {name for name in COMMANDS if "--yes" in options(name)} >= ASKS


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DataError("series", "none"), ExitStatus.NOT_AS_HOPED),
        (PeerError("refused", PeerCause.NOT_ACCEPTED), ExitStatus.NOT_AS_HOPED),
        (DatabaseUnavailableError("url", "away"), ExitStatus.NOT_AS_HOPED),
        (ConfigurationError("no key"), ExitStatus.WRONG_USE),
        (DatabaseUrlError("no URL"), ExitStatus.WRONG_USE),
        (BundleError("b", ("not whole",)), ExitStatus.WRONG_USE),
    ],
)
def test_an_error_has_one_exit_status_whichever_command_it_ends(
    error: Exception, status: ExitStatus
) -> None:
    assert exit_status(error) == status
