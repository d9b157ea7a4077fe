"""`dicomnode queue retry | cancel | hold | release | first`: stopping and starting work on series.

They write rows, and the running node finds them there: it need not be asked, nor be running.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated

import typer

from dicomnode.assess.by_hand import Done, Take
from dicomnode.cli.common import (
    ConfigOption,
    JsonOption,
    UidArgument,
    YesOption,
    ask,
    config_file,
    open_database,
    print_json,
    recorded,
)
from dicomnode.cli.queue import queue_app
from dicomnode.clock import clock_of
from dicomnode.config.reading import load_settings
from storage.database import Database
from storage.records import SeriesDetail


@queue_app.command("retry")
def queue_retry(uid: UidArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Try a series again that failed, once what it failed by is mended, or that was cancelled."""
    from dicomnode.assess.again import try_again
    from dicomnode.cli.views import queue_view

    database = open_database(config)
    details = queue_view.find(database, uid)
    retried = try_again(database, details, clock_of(database).now())
    _record("queue retry", [each.series_key for each in retried], details, config)
    if as_json:
        print_json([each.as_json() for each in retried])
        return
    for each in retried:
        typer.echo(f"series {each.series_key}: {each.text}")


@queue_app.command("cancel")
def queue_cancel(
    uid: UidArgument,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    yes: YesOption = False,
) -> None:
    """Have a series skipped that waits for its analysis, or is in it; `retry` takes it back.

    It ends as any series that is skipped: a note tells of it where notes are configured. What of it
    was analysed before stays where it is: `dicomnode results retract` withdraws that. Asks before
    it does, and with --json wants --yes.
    """
    from dicomnode.assess import by_hand

    def ask_first(details: Sequence[SeriesDetail]) -> None:
        if not yes:
            keys = ", ".join(each.series.series_key for each in details)
            what = f"series {keys} will be skipped, and what is made of it just now is ended"
            ask(what, "Cancel it?", "nothing was cancelled", as_json=as_json)

    _do("queue cancel", by_hand.cancel, uid, config, as_json, ask_first)


@queue_app.command("hold")
def queue_hold(uid: UidArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Keep a series from being decided on, analysed and sent, until `release`.

    What is just being sent arrives; what withdraws results is sent all the same. Its files stay.
    """
    from dicomnode.assess import by_hand

    _do("queue hold", by_hand.hold, uid, config, as_json)


@queue_app.command("release")
def queue_release(
    uid: UidArgument,
    take: Annotated[
        Take | None,
        typer.Option("--take", help="Which content of the instances that came twice."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a series go on that is on hold, or held since its instances came with other content."""
    from dicomnode.assess import by_hand

    def act(database: Database, details: Sequence[SeriesDetail], now: datetime) -> tuple[Done, ...]:
        return by_hand.release(database, details, take, now)

    _do("queue release", act, uid, config, as_json)


@queue_app.command("first")
def queue_first(uid: UidArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Put a series at the head of the queue, before STAT, with what it is to deliver."""
    from dicomnode.assess import by_hand

    def act(database: Database, details: Sequence[SeriesDetail], _: datetime) -> tuple[Done, ...]:
        return by_hand.put_first(database, details)

    _do("queue first", act, uid, config, as_json)


def _do(
    command: str,
    act: Callable[[Database, Sequence[SeriesDetail], datetime], tuple[Done, ...]],
    uid: str,
    config: ConfigOption,
    as_json: bool,
    ask_first: Callable[[Sequence[SeriesDetail]], None] = lambda _details: None,
) -> None:
    """To the series that `uid` names; not to another patient's part under the same UID."""
    from dicomnode.cli.views import queue_view

    database = open_database(config)
    details = queue_view.find(database, uid)
    exact = [each for each in details if each.series.series_key == uid.strip()]
    ask_first(exact or details)
    done = act(database, exact or details, clock_of(database).now())
    _record(command, [each.series_key for each in done], exact or details, config)
    if as_json:
        print_json([each.as_json() for each in done])
        return
    for each in done:
        typer.echo(f"series {each.series_key}: {each.text}")


def _record(
    command: str, keys: Sequence[str], details: Sequence[SeriesDetail], config: ConfigOption
) -> None:
    """What was done to which series, into the audit trail; not why: that may name a description."""
    settings = load_settings(config_file(config))
    studies = [each.series.study_instance_uid for each in details]
    recorded(settings, command, f"series {', '.join(keys)}", studies)
