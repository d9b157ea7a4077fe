"""`dicomnode replay`: a stored series analysed again, and compared with its flight record."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Annotated

import typer
from rich.console import Console

from dicomnode.cli.common import (
    ConfigOption,
    JsonOption,
    UidArgument,
    config_file,
    console,
    print_json,
)
from dicomnode.cli.grammar import ExitStatus
from dicomnode.config.reading import load_settings
from dicomnode.errors import DataError


def replay(
    uid: UidArgument,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    number: Annotated[
        int | None, typer.Option("--record", min=1, help="This flight record; else the newest.")
    ] = None,
) -> None:
    """Analyse a series again as it was analysed, and compare the findings; changes nothing.

    With the bundles of then, or it says which they were. Ends with 0 if the findings are the same,
    with 1 if they differ, with 3 if it cannot be done.
    """
    from dicomnode.analyse.replay import replay as analyse_again
    from dicomnode.cli.views import queue_view, replay_view
    from dicomnode.cli.views.process_view import reading_progress

    settings = load_settings(config_file(config))
    database = queue_view.open_existing(settings)
    record = replay_view.record_of(database, uid, number)
    with reading_progress(Console(stderr=True)) as on_progress:
        try:
            on_step = partial(on_progress, record.series_key)
            done = analyse_again(database, settings, record, on_step)
        except DataError as error:
            typer.echo(f"dicomnode: {error}", err=True)
            raise typer.Exit(ExitStatus.UNFINISHED) from None
    if as_json:
        print_json({"record": record.number, "same": done.is_same} | asdict(done))
    else:
        replay_view.print_replay(console(), record, done)
    raise typer.Exit(0 if done.is_same else 1)
