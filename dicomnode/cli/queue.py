"""`dicomnode queue`: what is where, and why."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from dicomnode.cli.common import (
    ConfigOption,
    JsonOption,
    SinceOption,
    UidArgument,
    config_file,
    console,
    moment,
    one_or_list,
    open_database,
    print_json,
)
from dicomnode.config.reading import load_settings
from dicomnode.errors import DataError
from storage.queries import Wanted
from storage.records import SeriesState
from storage.refusals import Refusal

queue_app = typer.Typer(
    help="What is where, and why; keeping it, letting it go on.", no_args_is_help=True
)


StateOption = Annotated[
    list[SeriesState] | None, typer.Option("--state", help="Only series in this state; repeatable.")
]
DateOption = Annotated[
    str | None,
    typer.Option("--date", metavar="YYYY-MM-DD", help="Only what was received on this day (UTC)."),
]
SourceOption = Annotated[
    str | None, typer.Option("--source", metavar="AET", help="Only what this AE title sent.")
]
AccessionOption = Annotated[
    str | None, typer.Option("--accession", metavar="NO.", help="Only of this accession number.")
]
UndeliveredOption = Annotated[
    bool, typer.Option("--undelivered", help="Only with results on their way, or parked.")
]
AllOption = Annotated[
    bool, typer.Option("--all", help="Also what a dicomnode made, and was sent to this one.")
]


@queue_app.command("list")
def queue_list(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    state: StateOption = None,
    date: DateOption = None,
    since: SinceOption = None,
    source: SourceOption = None,
    accession: AccessionOption = None,
    undelivered: UndeliveredOption = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many series.")] = 100,
    everything: AllOption = False,
) -> None:
    """The series, newest first; own results that came back only with --all.

    On a terminal UIDs are shortened to an ending that `show` and `why` accept; in a pipe a series
    is one line.
    """
    from dicomnode.cli.views import queue_list as view
    from dicomnode.cli.views import queue_view

    now = datetime.now(UTC)
    wanted = _wanted(state, date, since, source, accession, undelivered, everything, now)
    settings = load_settings(config_file(config))
    listing = view.look(queue_view.open_existing(settings), settings, wanted, limit, now)
    if as_json:
        print_json([row.as_json(now) for row in listing.rows])
    else:
        view.print_listing(console(), listing)


@queue_app.command("watch")
def queue_watch(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    state: StateOption = None,
    source: SourceOption = None,
    undelivered: UndeliveredOption = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many series.")] = 20,
    every: Annotated[float, typer.Option("--every", min=0.2, help="Seconds between looks.")] = 2.0,
) -> None:
    """The list, live, until Ctrl-C; in a pipe, or with --json, a line for each change."""
    from dicomnode.cli.views import queue_list as view
    from dicomnode.cli.views import queue_view
    from dicomnode.cli.views import queue_watch as watch

    settings = load_settings(config_file(config))
    database, shown = queue_view.open_existing(settings), console()

    def look() -> view.Listing:
        now = datetime.now(UTC)
        wanted = _wanted(state, None, None, source, None, undelivered, False, now)
        return view.look(database, settings, wanted, limit, now)

    def wait() -> bool:
        time.sleep(every)
        return True

    with suppress(KeyboardInterrupt):
        if shown.is_terminal and not as_json:
            watch.watch_live(shown, look, wait)
        else:
            watch.watch_changes(shown, look, wait, as_json=as_json)


def _wanted(
    state: Sequence[SeriesState] | None,
    date: str | None,
    since: str | None,
    source: str | None,
    accession: str | None,
    undelivered: bool,
    everything: bool,
    now: datetime,
) -> Wanted:
    day = None if date is None else moment(date, now)
    return Wanted(
        states=state,
        since=day if since is None else moment(since, now),
        before=None if day is None else day + timedelta(days=1),
        source=source,
        accession_number=accession,
        undelivered=undelivered,
        own_results=everything,
    )


@queue_app.command("show")
def queue_show(uid: UidArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """One series with its jobs, results and deliveries."""
    from dicomnode.cli.views import queue_view

    database = open_database(config)
    details, hosts = queue_view.find(database, uid), queue_view.host_names(database)
    if as_json:
        print_json(one_or_list([queue_view.detail_json(detail) for detail in details]))
        return
    for detail in details:
        queue_view.print_show(console(), detail, hosts)


@queue_app.command("why")
def queue_why(
    uid: UidArgument,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    identity: Annotated[
        bool, typer.Option("--identity", help="Show whose study it is: name, ID, date of birth.")
    ] = False,
) -> None:
    """Why a series is where it is: the answer, every rule, what sets its limit, what is next.

    What was refused is found, too, though nothing of it was kept.
    """
    from dicomnode.cli.views import queue_view, refusals_view, why_view

    settings = load_settings(config_file(config))
    database = queue_view.open_existing(settings)
    refused = refusals_view.find(database, uid)
    try:
        details = queue_view.find(database, uid)
    except DataError:
        if not refused:
            raise
        _tell_refused(refused, as_json)
        return
    now = datetime.now(UTC)
    found = [why_view.look_up(database, settings, detail, identity, now) for detail in details]
    if as_json:
        print_json(one_or_list([why_view.why_json(why) for why in found]))
        return
    for why in found:
        why_view.print_why(console(), why)


def _tell_refused(refused: Sequence[Refusal], as_json: bool) -> None:
    from dicomnode.cli.views import refusals_view

    if as_json:
        print_json(refusals_view.why_json(refused))
    else:
        refusals_view.print_refused(console(), refused)


@queue_app.command("refusals")
def queue_refusals(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    since: SinceOption = None,
    source: SourceOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 100,
) -> None:
    """What was refused: associations, and instances with the status that the sender got."""
    from dicomnode.cli.views import queue_view, refusals_view
    from dicomnode.cli.views.tables import nothing_found
    from storage import refusals

    after = None if since is None else moment(since, datetime.now(UTC))
    database = open_database(config)
    with database.read() as session:
        found = refusals.recent(session, after, source, limit)
    if as_json:
        print_json(queue_view.as_json(list(found)))
    else:
        nothing = nothing_found("refusal", source=source, since=since)
        refusals_view.print_refusals(console(), found, nothing)
