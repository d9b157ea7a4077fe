"""`dicomnode queue`: what is where, and why."""

from __future__ import annotations

from typing import Annotated

import typer

from dicomnode.cli.common import (
    ConfigOption,
    JsonOption,
    UidArgument,
    config_file,
    console,
    one_or_list,
    open_database,
    print_json,
)
from dicomnode.config.reading import load_settings
from storage.records import SeriesState

queue_app = typer.Typer(
    help="What is where, and why; keeping it, letting it go on.", no_args_is_help=True
)


@queue_app.command("list")
def queue_list(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    state: Annotated[
        list[SeriesState] | None, typer.Option("--state", help="Only series in this state.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many series.")] = 100,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what a dicomnode made, and was sent to this one.")
    ] = False,
) -> None:
    """The series, newest first; own results that came back only with --all."""
    from dicomnode.cli.views import queue_view

    rows = queue_view.list_rows(open_database(config), state, limit, everything)
    if as_json:
        print_json(rows)
    else:
        queue_view.print_list(console(), rows)


@queue_app.command("show")
def queue_show(uid: UidArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """One series with its jobs, results and deliveries."""
    from dicomnode.cli.views import queue_view

    details = queue_view.find(open_database(config), uid)
    if as_json:
        print_json(one_or_list([queue_view.detail_json(detail) for detail in details]))
        return
    for detail in details:
        queue_view.print_show(console(), detail)


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
    from dicomnode.cli.views import queue_view, why_view

    settings = load_settings(config_file(config))
    database = queue_view.open_existing(settings)
    details = queue_view.find(database, uid)
    found = [why_view.look_up(database, settings, detail, identity) for detail in details]
    if as_json:
        print_json(one_or_list([why_view.why_json(why) for why in found]))
        return
    for why in found:
        why_view.print_why(console(), why)
