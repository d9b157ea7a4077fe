"""The command line: `dicomnode demo | serve | process | queue | results | deliveries | …`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dicomnode.cli.common import (
    ConfigOption,
    JsonOption,
    check_file,
    config_file,
    console,
    offline_settings,
    print_json,
)
from dicomnode.cli.grammar import ORDER, STATUSES, InOrder, add_examples, exit_status
from dicomnode.config.reading import load_settings
from dicomnode.lifecycle import (
    RENEWAL,
    block_stop_signals,
    stop_on_request,
    tells_what_can_be_mended,
)
from dicomnode.logs import set_up_logging
from dicomnode.version import VERSION

_FILES: dict[str, tuple[str, ...]] = {
    "queue": ("queue", "queue_actions"),
    "model": ("model", "model_evaluate", "model_package", "model_simulate", "model_train"),
    "restore": ("backup",),
}
"""Where a command is that is not, or not whole, in the file that bears its name."""


def command_line(asked: str = "") -> typer.Typer:
    """All commands; only that one of the top level where it is known which is asked for: to import
    and build the others takes longer than most take to answer."""
    app = typer.Typer(
        cls=InOrder,
        epilog=STATUSES,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    app.callback()(options)
    for name in [asked] if asked in ORDER else ORDER:
        _add(app, name)
    add_examples(app)
    return app


def _add(app: typer.Typer, name: str) -> None:
    """A command of this file, or what is in the file of its name."""
    if name in _HERE:
        app.command()(_HERE[name])
        return
    file, *_ = [import_module(f"dicomnode.cli.{each}") for each in _FILES.get(name, (name,))]
    group = getattr(file, f"{name}_app", None)
    if group is None:
        app.command()(getattr(file, name))
    else:
        app.add_typer(group, name=name)


def main() -> None:
    """Run the command line; what a person can mend is told in one line."""
    try:
        with tells_what_can_be_mended(exit_status):
            command_line("".join(sys.argv[1:2]))()
    except BrokenPipeError:
        os._exit(141)  # `dicomnode queue list | head`


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(f"dicomnode {VERSION}")
        raise typer.Exit


def options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_tell_version, is_eager=True, help="Print the version and end."
        ),
    ] = False,
) -> None:
    """A chest-CT AI node: CT series in by C-STORE, Structured Reports and heatmaps back."""


def version(as_json: JsonOption = False) -> None:
    """Print the version."""
    if as_json:
        print_json({"version": VERSION})
        return
    _tell_version(asked=True)


def serve(config: ConfigOption = None) -> None:
    """Run the node in the foreground until SIGTERM or Ctrl-C; SIGHUP is `config reload`."""
    block_stop_signals(RENEWAL)
    set_up_logging("node")
    file = config_file(config)
    settings = load_settings(file)
    from dicomnode.audit import syslog, trail
    from dicomnode.data_directory.holding import keep_settings, only_one
    from dicomnode.data_directory.own_data import Taking, note_first_start
    from dicomnode.network.pynetdicom_version import check_pynetdicom
    from dicomnode.processes.checks import check_start
    from dicomnode.processes.introduction import introduce
    from dicomnode.processes.nursery import nursery
    from dicomnode.processes.supervisor import Supervisor

    check_pynetdicom()
    with nursery() as forked_of:  # before there is a thread
        stop = stop_on_request(RENEWAL)
        set_up_logging("node", settings.log)
        introduce(settings, file)
        with (
            only_one(settings.node.data_directory) as node_id,
            syslog.sent_to_the_last(settings),
            trail.of_node(settings),
        ):
            note_first_start(settings)
            taking = Taking(settings, node_id, stop)
            check_start(settings)
            kept = keep_settings(settings)
            read = partial(load_settings, file)
            Supervisor(settings, kept, node_id, taking, read=read, nursery=forked_of).run(stop)


def process(
    folder: Annotated[Path, typer.Argument(help="Folder with DICOM files of any series.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the result objects.")],
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the outcome here.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Decide on, analyse and report each series of a folder, without any network."""
    from dicomnode.cli.views.process_view import print_outcomes, reading_progress
    from dicomnode.offline.process import EXPLAINED, check_folders, process_folder

    set_up_logging("process")
    settings = offline_settings(config)
    check_folders(folder, out)
    if json_file is not None:
        check_file(json_file)
    with reading_progress(Console(stderr=True)) as on_progress:
        outcomes = process_folder(folder, out, settings, on_progress)
    if json_file is not None:
        answer = [outcome.as_json() for outcome in outcomes]
        json_file.write_text(json.dumps(answer, indent=2, ensure_ascii=False) + "\n", "utf-8")
    print_outcomes(console(), outcomes)
    raise SystemExit(0 if all(each.state in EXPLAINED for each in outcomes) else 1)


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for what the demo leaves.")] = Path(
        "demo-output"
    ),
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder with a folder for each series to send.")
    ] = None,
    pacs: Annotated[
        str | None,
        typer.Option("--pacs", metavar="HOST:PORT:AET", help="A real PACS that gets the results."),
    ] = None,
) -> None:
    """Show the node at its job: real CT in by C-STORE, results back to a PACS on this machine."""
    from dicomnode.offline.demo import run_demo

    set_up_logging("demo")
    raise SystemExit(run_demo(out, data, pacs, console()))


_HERE: dict[str, Callable[..., None]] = {
    "serve": serve,
    "process": process,
    "demo": demo,
    "version": version,
}
