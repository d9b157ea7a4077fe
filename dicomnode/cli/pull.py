"""`dicomnode pull`: having the archive send studies, series, or a patient's earlier CT."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from dicomnode.cli.common import (
    ConfigOption,
    HoursOption,
    JsonOption,
    config_file,
    print_json,
    recorded,
    span_of_hours,
)
from dicomnode.config.reading import load_settings
from dicomnode.config.settings import Settings
from dicomnode.decisions.wording import how_many
from dicomnode.lifecycle import block_stop_signals, stop_on_request
from dicomnode.logs import set_up_logging

if TYPE_CHECKING:
    from datetime import datetime
    from threading import Event

    from dicomnode.decisions.hours import Hours
    from dicomnode.pull.run import Asked
    from dicomnode.pull.steps import SeriesPulled


def pull(
    study: Annotated[str, typer.Option("--study", metavar="UID", help="CT of this study.")] = "",
    series: Annotated[
        str,
        typer.Option(
            "--series", metavar="UID", help="This series; most archives want --study too."
        ),
    ] = "",
    accession: Annotated[
        str, typer.Option("--accession", metavar="NUMBER", help="CT of this accession number.")
    ] = "",
    prior_to: Annotated[
        str,
        typer.Option(
            "--patient-prior", metavar="UID", help="Earlier CT of the patient of a study."
        ),
    ] = "",
    rate: Annotated[
        float | None,
        typer.Option("--rate", min=0, help="Images a second, in place of the configured; 0: any."),
    ] = None,
    hours: HoursOption = "0-24",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have the archive send what is not here; what comes is decided on like all that comes.

    From [query] peer by C-MOVE or C-GET, or from [query] web by WADO-RS, as [query] retrieve says.
    Ctrl-C breaks it off; the same command again takes it up. Outside of --hours it waits; a series
    that has begun is ended.
    """
    wanted = [each for each in (study or series, accession, prior_to) if each]
    if len(wanted) != 1:
        text = (
            "give one of --study, --series (with --study or without), --accession, --patient-prior"
        )
        raise typer.BadParameter(text)
    span = span_of_hours(hours)
    from dicomnode.cli.views.pull_view import as_line
    from dicomnode.pull.run import Asked
    from dicomnode.pull.steps import SeriesPulled

    block_stop_signals()
    set_up_logging("pull")
    settings = _limited(load_settings(config_file(config)), rate)
    stop, done = stop_on_request(), list[SeriesPulled]()

    def ended(each: SeriesPulled) -> None:
        done.append(each)
        if not as_json:
            typer.echo(as_line(each))

    try:
        _pull(settings, Asked(study, series, accession, prior_to), stop, ended, span)
    finally:
        if done:
            came = how_many(sum(each.came for each in done), "instance")
            recorded(settings, "pull", came, [each.study_instance_uid for each in done])
    if as_json:
        print_json({"series": [asdict(each) for each in done], "stopped": stop.is_set()})
    if stop.is_set() or any(each.lacking for each in done):
        raise typer.Exit(1)


def _limited(settings: Settings, rate: float | None) -> Settings:
    if rate is None:
        return settings
    query = settings.query.model_copy(update={"images_per_second": rate})
    return settings.model_copy(update={"query": query})


def _pull(
    settings: Settings,
    asked: Asked,
    stop: Event,
    ended: Callable[[SeriesPulled], object],
    span: Hours,
) -> None:
    """On record, with a bar on a terminal."""
    from dicomnode.audit import trail
    from dicomnode.cli.views.pull_view import progress
    from dicomnode.cli.views.queue_view import open_existing
    from dicomnode.pull import run
    from dicomnode.pull.open_hours import OpenHours

    def waits(until: datetime) -> None:
        typer.echo(f"waits until {until:%Y-%m-%d %H:%M}: {span.text}", err=True)

    database = open_existing(settings)
    trail.begin(settings, "pull")
    try:
        with progress() as told:
            run.pull(settings, database, asked, stop, told, ended, OpenHours(span, stop, waits))
    finally:
        trail.end()
