"""`dicomnode deliveries`: what still has to reach which destination, and what to do about it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from dicomnode.cli.common import (
    ConfigOption,
    JsonOption,
    YesOption,
    ask,
    config_file,
    console,
    print_json,
    recorded,
)
from dicomnode.clock import clock_of
from dicomnode.config.reading import load_settings
from dicomnode.decisions.wording import how_many
from storage.records import DeliveryState

deliveries_app = typer.Typer(
    help="Deliveries: what waits, try again at once, drop.", no_args_is_help=True
)


class Undelivered(StrEnum):
    WAITING = "waiting"
    REFUSED = "refused"
    FAILED = "failed"


class Retried(StrEnum):
    WAITING = "waiting"
    REFUSED = "refused"
    FAILED = "failed"
    ABANDONED = "abandoned"


DestinationOption = Annotated[
    list[str] | None,
    typer.Option("--destination", help="Only to this destination; may be given several times."),
]


@deliveries_app.command("list")
def deliveries_list(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    destination: DestinationOption = None,
    state: Annotated[
        list[DeliveryState] | None, typer.Option("--state", help="Only those in this state.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 1000,
) -> None:
    """Deliveries with attempts, last status and next time, oldest first."""
    from dicomnode.cli.views import deliveries_view, queue_view
    from dicomnode.cli.views.tables import nothing_found

    settings = load_settings(config_file(config))
    database = queue_view.open_existing(settings)
    found = deliveries_view.look_up(database, settings, destination, state, limit)
    if as_json:
        print_json([deliveries_view.as_row(each) for each in found])
    else:
        shown = [delivery for delivery, _series in found]
        keys = (each.result.series_key for each in shown)
        endings = queue_view.series_endings(database, keys)
        nothing = nothing_found("delivery", destination=destination, state=state)
        queue_view.print_deliveries(console(), shown, endings, nothing)


@deliveries_app.command("retry")
def deliveries_retry(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    destination: DestinationOption = None,
    state: Annotated[
        list[Retried] | None,
        typer.Option("--state", help="Only those in this state; else waiting, refused, failed."),
    ] = None,
) -> None:
    """Send again at once what has not arrived, to one destination or to all."""
    from dicomnode.cli.views import deliveries_view, queue_view

    settings = load_settings(config_file(config))
    database = queue_view.open_existing(settings)
    count = deliveries_view.retry(database, settings, destination, state, clock_of(database).now())
    recorded(settings, "deliveries retry", _of_destinations(count, destination))
    _tell(count, "tried again", as_json)


@deliveries_app.command("drop")
def deliveries_drop(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    destination: DestinationOption = None,
    every: Annotated[bool, typer.Option("--all", help="To every destination.")] = False,
    state: Annotated[
        list[Undelivered] | None,
        typer.Option("--state", help="Only those in this state; else waiting, refused, failed."),
    ] = None,
    yes: YesOption = False,
) -> None:
    """Give up what has not arrived; `retry --state abandoned` takes it back.

    Asks before it does, and with --json wants --yes.
    """
    from dicomnode.cli.views import deliveries_view, queue_view

    if not destination and not every:
        raise typer.BadParameter("name a destination with --destination, or give --all")
    settings = load_settings(config_file(config))
    database = queue_view.open_existing(settings)
    if not yes:
        what = f"what has not arrived at {', '.join(destination or ['any destination'])}"
        ask(what, "Give it up?", "nothing was given up", as_json=as_json)
    count = deliveries_view.drop(database, settings, destination, state, clock_of(database).now())
    recorded(settings, "deliveries drop", _of_destinations(count, destination))
    _tell(count, "abandoned", as_json)


@deliveries_app.command("commitments")
def deliveries_commitments(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 100,
) -> None:
    """Who asked this node for storage commitment, and whether the report reached it."""
    from dicomnode.cli.views import commitments_view, queue_view

    settings = load_settings(config_file(config))
    rows = commitments_view.look_up(queue_view.open_existing(settings), limit)
    if as_json:
        print_json(rows)
    else:
        commitments_view.print_commitments(console(), rows)


def _of_destinations(count: int, destination: list[str] | None) -> str:
    return f"{how_many(count, 'delivery')} to {', '.join(destination) if destination else 'all'}"


def _tell(count: int, what: str, as_json: bool) -> None:
    if as_json:
        print_json({"deliveries": count})
    else:
        typer.echo(f"{how_many(count, 'delivery')} {'is' if count == 1 else 'are'} {what}")
