"""The command line: `dicomnode demo | serve | process | queue`."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from dicomnode.config import Settings, kept_settings, load_settings
from dicomnode.errors import ConfigurationError, NodeError
from dicomnode.lifecycle import block_stop_signals, set_up_logging, stop_on_request
from dicomnode.version import VERSION
from inference.errors import InferenceError
from storage.database import Database
from storage.errors import StorageError
from storage.records import SeriesState

CONFIG_VARIABLE = "DICOMNODE_CONFIG"
CONFIG_PLACES = (Path("dicomnode.toml"), Path("/etc/dicomnode/dicomnode.toml"))

app = typer.Typer(
    help="A chest-CT AI node: CT series in by C-STORE, Structured Reports and heatmaps back.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
queue_app = typer.Typer(help="What is where, and why.", no_args_is_help=True)
app.add_typer(queue_app, name="queue")

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help=f"Configuration file. Otherwise ${CONFIG_VARIABLE}, ./dicomnode.toml, "
        "/etc/dicomnode/dicomnode.toml.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON instead of tables.")]
UidArgument = Annotated[
    str, typer.Argument(help="A Series or Study Instance UID, a unique ending, or an accession no.")
]


def main() -> None:
    """Run the command line; what a person can mend is told in one line, with exit status 2."""
    try:
        app()
    except (NodeError, StorageError, InferenceError) as error:
        _end(f"dicomnode: {error}")
    except BrokenPipeError:
        os._exit(141)  # `dicomnode queue list | head`


def _end(text: str) -> NoReturn:
    print(text, file=sys.stderr)
    raise SystemExit(2)


def _config_file(given: Path | None) -> Path:
    if given is not None:
        return given
    variable = os.environ.get(CONFIG_VARIABLE)
    places = [Path(variable)] if variable else list(CONFIG_PLACES)
    for place in places:
        if place.is_file():
            return place
    looked = ", ".join(map(str, places))
    raise ConfigurationError(f"no configuration file: give --config FILE (looked at {looked})")


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(f"dicomnode {VERSION}")


@app.command()
def serve(config: ConfigOption = None) -> None:
    """Run the node in the foreground until SIGTERM or Ctrl-C."""
    block_stop_signals()
    set_up_logging("node")
    stop = stop_on_request()
    settings = load_settings(_config_file(config))
    from dicomnode.supervise import (
        Supervisor,
        check_bundle,
        check_owner,
        keep_settings,
        only_one,
    )

    with only_one(settings.node.data_directory) as node_id:
        check_owner(settings, node_id)
        kept = keep_settings(settings)
        check_bundle(kept, stop)
        Supervisor(settings, kept, node_id).run(stop)


@app.command("check-bundle", hidden=True)
def check_bundle_command(settings: Annotated[Path, typer.Option("--settings")]) -> None:
    """Check the configured model bundle; make the untrained one where none is named."""
    from dicomnode.bundles import prepare_bundle

    card = prepare_bundle(kept_settings(settings)).card
    set_up_logging("node")
    log = logging.getLogger(__name__)
    log.info("model %s %s, weights %s", card.name, card.version, card.weights_sha256[:12])


@app.command(hidden=True)
def role(
    name: str,
    settings: Annotated[Path, typer.Option("--settings")],
    node_id: Annotated[str, typer.Option("--node-id")],
) -> None:
    """Be one process of a node (started by `serve`)."""
    block_stop_signals()
    from dicomnode.roles import play

    play(name, kept_settings(settings), node_id)


@app.command()
def process(
    folder: Annotated[Path, typer.Argument(help="Folder with DICOM files of any series.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the result objects.")],
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the outcome here.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Decide on, analyse and report each series of a folder, without any network."""
    from dicomnode.process import EXPLAINED, check_folders, process_folder
    from dicomnode.process_view import print_outcomes, reading_progress

    set_up_logging("process")
    settings = _offline_settings(config)
    check_folders(folder, out)
    if json_file is not None:
        _check_file(json_file)
    with reading_progress(Console(stderr=True)) as told:
        outcomes = process_folder(folder, out, settings, told)
    if json_file is not None:
        answer = [outcome.as_json() for outcome in outcomes]
        json_file.write_text(json.dumps(answer, indent=2, ensure_ascii=False) + "\n", "utf-8")
    print_outcomes(_console(), outcomes)
    raise SystemExit(0 if all(each.state in EXPLAINED for each in outcomes) else 1)


def _check_file(path: Path) -> None:
    """Make the folder of a file to be written, and see that it can be, before any work is done."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error


def _offline_settings(config: Path | None) -> Settings:
    """As configured; without any configuration the defaults, and models in the user's cache."""
    try:
        return load_settings(_config_file(config))
    except ConfigurationError:
        if config is not None or os.environ.get(CONFIG_VARIABLE):
            raise
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dicomnode"
        defaults = Settings()
        node = defaults.node.model_copy(update={"data_directory": cache})
        return defaults.model_copy(update={"node": node})


@app.command()
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
    from dicomnode.demo import run_demo

    set_up_logging("demo")
    raise SystemExit(run_demo(out, data, pacs, _console()))


@queue_app.command("list")
def queue_list(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    state: Annotated[
        list[SeriesState] | None, typer.Option("--state", help="Only series in this state.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many series.")] = 100,
) -> None:
    """All series, newest first."""
    from dicomnode import queue_view

    rows = queue_view.list_rows(_database(config), state, limit)
    if as_json:
        _print_json(rows)
    else:
        queue_view.print_list(_console(), rows)


@queue_app.command("show")
def queue_show(uid: UidArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """One series with its jobs, results and deliveries."""
    from dicomnode import queue_view

    details = queue_view.find(_database(config), uid)
    if as_json:
        _print_json(_one_or_list([queue_view.as_json(detail) for detail in details]))
        return
    for detail in details:
        queue_view.print_show(_console(), detail)


@queue_app.command("why")
def queue_why(
    uid: UidArgument,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    identity: Annotated[
        bool, typer.Option("--identity", help="Show whose study it is: name, ID, date of birth.")
    ] = False,
) -> None:
    """Why a series is where it is: evidence, every rule with value and limit, what is next."""
    from dicomnode import queue_view, why_view

    settings = load_settings(_config_file(config))
    database = queue_view.open_existing(settings)
    details = queue_view.find(database, uid)
    found = [why_view.look_up(database, settings, detail, identity) for detail in details]
    if as_json:
        _print_json(_one_or_list([why_view.why_json(why) for why in found]))
        return
    for why in found:
        why_view.print_why(_console(), why)


def _console() -> Console:
    """Standard output; written to a file or a pipe it is wide enough for the tables."""
    console = Console()
    return console if console.is_terminal else Console(width=120)


def _one_or_list(found: list[dict[str, Any]]) -> object:
    """An object for one series; a list where an accession number names several."""
    return found[0] if len(found) == 1 else found


def _database(config: Path | None) -> Database:
    from dicomnode.queue_view import open_existing

    return open_existing(load_settings(_config_file(config)))


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
