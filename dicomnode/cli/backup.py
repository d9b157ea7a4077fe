"""`dicomnode backup` and `dicomnode restore`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import DownloadColumn, TextColumn, TimeElapsedColumn

from dicomnode.audit.events import AlertKind
from dicomnode.cli.common import ConfigOption, JsonOption, config_file, print_json, recorded
from dicomnode.cli.views.progress import bars
from dicomnode.config.reading import load_settings
from dicomnode.decisions.wording import how_many


def backup(
    to: Annotated[
        Path, typer.Argument(help="Folder for back-ups, best on another disk; each has its own.")
    ],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Back up database and files; the node may work meanwhile.

    A file that the last back-up there has alike takes no room twice.
    """
    from dicomnode.data_directory.backup import back_up

    settings = load_settings(config_file(config))
    with _progress("backing up") as on_progress:
        folder, told = back_up(settings, to, datetime.now(UTC), on_progress)
    if as_json:
        print_json({"folder": str(folder), **asdict(told)})
    else:
        rows, files = how_many(told.rows, "row"), how_many(told.files, "file")
        size = f"{told.bytes / 1e6:.1f} MB"
        typer.echo(f"{folder}: {rows}, {files} ({told.linked} linked), {size}")
        if told.in_store:
            typer.echo(f"{told.in_store} more files lie in the object store: back it up by itself")
        if told.missing:
            many = len(told.missing)
            typer.echo(f"{many} files that rows name are not there: backup.json names them")
    raise SystemExit(1 if told.missing else 0)


def restore(
    folder: Annotated[Path, typer.Argument(help="A back-up: the folder with its time as name.")],
    config: ConfigOption = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only see whether the back-up is whole.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Put a back-up into an empty data directory and database; the node must not run.

    What waits there is held, for what was sent or withdrawn since the back-up cannot be known:
    `dicomnode database release` lets it go.
    """
    from dicomnode.data_directory.backup import damaged_files, put_back, read_backup
    from dicomnode.data_directory.holding import only_one

    if check:
        with _progress("reading") as on_progress:
            damaged = damaged_files(folder, on_progress)
        _tell(as_json, {"damaged": damaged}, *(f"damaged: {each}" for each in damaged))
        if not damaged and not as_json:
            typer.echo(f"{folder} is whole: {read_backup(folder).files} files")
        raise SystemExit(1 if damaged else 0)
    settings = load_settings(config_file(config))
    with only_one(settings.node.data_directory), _progress("putting back") as on_progress:
        series, deliveries = put_back(folder, settings, datetime.now(UTC), on_progress)
        kind = AlertKind.SOFTWARE_CONFIGURATION
        recorded(settings, "restore", f"the back-up {folder.name}", kind=kind)
    _tell(
        as_json,
        {"series_held": series, "deliveries_held": deliveries},
        f"put back; held: {series} series, {deliveries} deliveries",
        "start the node, see that it is as it was, then: dicomnode database release",
    )


def _tell(as_json: bool, told: dict[str, Any], *lines: str) -> None:
    if as_json:
        print_json(told)
        return
    for line in lines:
        typer.echo(line)


@contextmanager
def _progress(what: str) -> Iterator[Any]:
    """Bytes and time, on a terminal alone."""
    columns = (TextColumn(what), DownloadColumn(), TimeElapsedColumn())
    with bars(*columns) as bar:
        task = bar.add_task(what, total=None)
        yield lambda size: bar.advance(task, size)
