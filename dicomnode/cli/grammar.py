"""The grammar of the command line: the order of its commands, an example of each, exit statuses."""

from __future__ import annotations

from enum import IntEnum
from inspect import getdoc
from typing import Any

import typer
from typer.core import TyperGroup

from dicomnode.errors import DataError, PeerError
from inference.errors import NoLungsError
from storage.errors import (
    DatabaseUrlError,
    MoveError,
    SchemaTooNewError,
    StorageError,
)

ORDER = (
    *("serve", "worker", "workers", "process", "demo", "queue", "results", "deliveries", "pull"),
    "campaign",
    *("model", "config", "commission", "conformance", "status", "audit", "replay", "database"),
    *("backup", "restore", "version"),
)
"""As a person meets them; others come behind."""

EXAMPLES = {
    "serve": "dicomnode serve --config /etc/dicomnode/dicomnode.toml",
    "worker": "dicomnode worker --until-empty --capability gpu",
    "workers": "dicomnode workers --ray ray-head:6379 --num-gpus 1 --at-most 8",
    "process": "dicomnode process ct-folder --out results",
    "demo": "dicomnode demo --pacs 192.0.2.7:104:PACS",
    "queue list": "dicomnode queue list --state failed --since 2d",
    "queue watch": "dicomnode queue watch --undelivered",
    "queue show": "dicomnode queue show 481516",
    "queue why": "dicomnode queue why ACC-2026-0815",
    "queue refusals": "dicomnode queue refusals --since 1d --source CT1",
    "queue retry": "dicomnode queue retry 481516",
    "queue cancel": "dicomnode queue cancel 481516 --yes",
    "queue hold": "dicomnode queue hold 481516",
    "queue release": "dicomnode queue release 481516 --take newest",
    "queue first": "dicomnode queue first ACC-2026-0815",
    "results list": "dicomnode results list --limit 20",
    "results show": "dicomnode results show ACC-2026-0815",
    "results resend": "dicomnode results resend 481516",
    "results renew": "dicomnode results renew 481516",
    "results retract": "dicomnode results retract 481516 --reason safety",
    "results reinstate": "dicomnode results reinstate 481516",
    "deliveries list": "dicomnode deliveries list --destination pacs --state refused",
    "deliveries retry": "dicomnode deliveries retry --destination pacs",
    "deliveries drop": "dicomnode deliveries drop --destination old-pacs",
    "pull": "dicomnode pull --accession ACC-2026-0815",
    "deliveries commitments": "dicomnode deliveries commitments --json",
    "model list": "dicomnode model list",
    "model check": "dicomnode model check covnet",
    "model show": "dicomnode model show covnet --json",
    "model evaluate": "dicomnode model evaluate --bundle b --manifest scans.csv --out report",
    "model package": "dicomnode model package --run run --out b --name X --version 1 --licence CC0",
    "model simulate": "dicomnode model simulate --hosts hosts.csv --out scans --scans 20",
    "model train": "dicomnode model train --task covnet --manifest scans.csv --out run",
    "config check": "dicomnode config check --config dicomnode.toml",
    "config show": "dicomnode config show",
    "config reload": "dicomnode config reload",
    "campaign create": "dicomnode campaign create c --pacs pacs --from 2024-01-01 --to 2024-12-31",
    "campaign run": "dicomnode campaign run c --until-empty",
    "campaign pause": "dicomnode campaign pause c",
    "campaign resume": "dicomnode campaign resume c",
    "campaign status": "dicomnode campaign status c --watch",
    "campaign list": "dicomnode campaign list",
    "campaign export": "dicomnode campaign export c --csv c.csv --pseudonymous",
    "campaign remove": "dicomnode campaign remove c",
    "commission": "dicomnode commission --destination pacs --sheet acceptance.html",
    "conformance": "dicomnode conformance --html > conformance.html",
    "status": "dicomnode status || echo trouble",
    "audit list": "dicomnode audit list --since 2026-11-28 --event alert",
    "audit flights": "dicomnode audit flights --csv > analyses.csv",
    "replay": "dicomnode replay 481516",
    "database move": "dicomnode database move --to postgresql://node@db/dicomnode",
    "database downgrade": "dicomnode database downgrade --to 0003",
    "database adopt": "dicomnode database adopt",
    "database release": "dicomnode database release",
    "database forget": "dicomnode database forget ct-node-2",
    "database store": "dicomnode database store --accept",
    "backup": "dicomnode backup /mnt/backup",
    "restore": "dicomnode restore /mnt/backup/2026-11-28T02-15-00Z --check",
    "version": "dicomnode version",
}
"""By the words of the command; each is shown at the end of its help."""

STATUSES = (
    "Exit status: 0 done; 1 not as hoped, as something failed or nothing matched; 2 wrong use or "
    "configuration; 3 an error in status, a training that was stopped, a replay that lacks its "
    "inputs."
)


class ExitStatus(IntEnum):
    """See STATUSES."""

    DONE = 0
    NOT_AS_HOPED = 1
    WRONG_USE = 2
    UNFINISHED = 3  # of `status`: an error


_OF_THE_CALL = (DatabaseUrlError, MoveError, SchemaTooNewError)
"""What storage refuses since it was asked for what cannot be."""


def exit_status(error: Exception) -> int:
    """Of a command that ends by an error of ours."""
    failed = (DataError, PeerError, StorageError, NoLungsError)
    if isinstance(error, failed) and not isinstance(error, _OF_THE_CALL):
        return ExitStatus.NOT_AS_HOPED
    return ExitStatus.WRONG_USE


class InOrder(TyperGroup):
    """The commands of the top level, in ORDER."""

    def list_commands(self, ctx: Any) -> list[str]:
        names = super().list_commands(ctx)
        place = {name: number for number, name in enumerate(ORDER)}
        return sorted(names, key=lambda name: place.get(name, len(place)))


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(each.split()) for each in text.split("\n\n"))


def add_examples(app: typer.Typer, group: str = "") -> None:
    """To the help of each command of `app`, and of its groups; its paragraphs become as wide as the
    terminal is, for Typer breaks them as they are broken in the source."""
    for command in app.registered_commands:
        function = command.callback
        command.help = command.help or _paragraphs(getdoc(function) or "")
        name = command.name or (function.__name__ if function else "")
        example = EXAMPLES.get(f"{group}{name}".strip())
        if example is not None:
            command.epilog = f"Example: {example}"
    for below in app.registered_groups:
        if below.typer_instance is not None:
            add_examples(below.typer_instance, f"{group}{below.name} ")
