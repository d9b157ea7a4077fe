"""What the commands share: options, the configuration file, and how they print."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from dicomnode.audit.events import AlertKind, Changed
from dicomnode.config.reading import load_settings
from dicomnode.config.settings import Settings
from dicomnode.decisions.hours import Hours
from dicomnode.errors import ConfigurationError
from storage.database import Database

CONFIG_VARIABLE = "DICOMNODE_CONFIG"
CONFIG_PLACES = (Path("dicomnode.toml"), Path("/etc/dicomnode/dicomnode.toml"))

_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help=f"Configuration file. Otherwise ${CONFIG_VARIABLE}, ./dicomnode.toml, "
        "/etc/dicomnode/dicomnode.toml.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON instead of tables.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
SinceOption = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="TIME",
        help="Only since then: 30m, 2h or 3d ago, or a time as 2026-11-28T12:00 (UTC).",
    ),
]
HoursOption = Annotated[
    str, typer.Option("--hours", metavar="A-B", help="Only then the archive is asked: 22-6.")
]
UidArgument = Annotated[
    str, typer.Argument(help="A Series or Study Instance UID, a unique ending, or an accession no.")
]


def span_of_hours(text: str) -> Hours:
    """
    Raises:
        typer.BadParameter: it is none.
    """
    try:
        return Hours.parsed(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def config_file(given: Path | None) -> Path:
    """The file that is given or found.

    Raises:
        ConfigurationError: there is none.
    """
    if given is not None:
        return given
    variable = os.environ.get(CONFIG_VARIABLE)
    places = [Path(variable)] if variable else list(CONFIG_PLACES)
    looked = []
    for place in places:
        try:
            if place.is_file():
                return place
            looked.append(str(place))
        except OSError as error:  # a folder of another user: as `sudo` leaves one in that of root
            looked.append(f"{place}: {error.strerror}")
    where = ", ".join(looked)
    raise ConfigurationError(f"no configuration file: give --config FILE (looked at {where})")


def offline_settings(config: Path | None) -> Settings:
    """As configured; without any configuration the defaults, and models in the user's cache."""
    try:
        found = config_file(config)
    except ConfigurationError:
        if config is not None or os.environ.get(CONFIG_VARIABLE):
            raise
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dicomnode"
        defaults = Settings()
        node = defaults.node.model_copy(update={"data_directory": cache})
        return defaults.model_copy(update={"node": node})
    return load_settings(found)


def console() -> Console:
    """Standard output; written to a file or a pipe it is wide enough for the tables."""
    console = Console()
    return console if console.is_terminal else Console(width=120)


def moment(text: str, now: datetime) -> datetime:
    """So long ago ("30m", "2h", "3d"), or a date or time in ISO 8601, of UTC where it names none.

    Raises:
        typer.BadParameter: it is none of these.
    """
    ago = re.fullmatch(r"(\d{1,4})([mhd])", text.strip())
    if ago is not None:
        return now - int(ago[1]) * _UNITS[ago[2]]
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise typer.BadParameter(f"{text!r}: 30m, 2h, 3d, or a date like 2026-11-28") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def one_or_list(found: list[dict[str, Any]]) -> object:
    """An object for one series; a list where an accession number names several."""
    return found[0] if len(found) == 1 else found


def open_database(config: Path | None) -> Database:
    """The node's database.

    Raises:
        ConfigurationError: no node has run yet.
    """
    from dicomnode.cli.views.queue_view import open_existing

    return open_existing(load_settings(config_file(config)))


def recorded(
    settings: Settings,
    command: str,
    what: str = "",
    studies: Sequence[str] = (),
    kind: AlertKind = AlertKind.RESTRICTED_FUNCTION,
) -> None:
    """Enter what a command changed into the audit trail, in the name of who gave it.

    Raises:
        ConfigurationError: it cannot be written there; what was changed is changed.
    """
    from dicomnode.audit.trail import record_command

    record_command(settings, Changed(command, what, tuple(dict.fromkeys(studies)), kind))


def print_json(value: object) -> None:
    """To standard output, indented, in UTF-8."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def ask(what: str, question: str, otherwise: str, *, as_json: bool) -> None:
    """On standard error, so that what a program reads stays whole.

    Raises:
        ConfigurationError: nobody is there to answer, or a program is.
        typer.Exit: the answer is no.
    """
    if as_json or not sys.stdin.isatty():
        raise ConfigurationError(f"{what}; nobody is there to be asked: give --yes to do it")
    typer.echo(what, err=True)
    if not typer.confirm(question, err=True):
        typer.echo(otherwise, err=True)
        raise typer.Exit(1)


def check_file(path: Path) -> None:
    """Make the folder of a file to be written, and see that it can be, before any work is done.

    Raises:
        ConfigurationError: it cannot.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside `path`, to be written: it takes its place once it is whole; where it does not
    become so, what was there stays. What is no file, as /dev/stdout, is written itself.

    Raises:
        ConfigurationError: it cannot be written.
    """
    if path.exists() and not path.is_file():
        yield path
        return
    place = path.resolve()
    beside = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        yield beside
        if place.exists():
            shutil.copymode(place, beside)
        beside.replace(place)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    finally:
        beside.unlink(missing_ok=True)
