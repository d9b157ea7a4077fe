"""`dicomnode campaign create`: what a person wishes becomes a plan."""

from __future__ import annotations

import secrets
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError

from dicomnode.cli.common import (
    ConfigOption,
    HoursOption,
    JsonOption,
    config_file,
    print_json,
    recorded,
    span_of_hours,
)
from dicomnode.clock import clock_of
from dicomnode.config.reading import load_settings
from dicomnode.config.settings import Settings
from dicomnode.decisions.campaign.plan import Plan
from dicomnode.errors import ConfigurationError
from inference.entry_errors import problems_of
from storage.database import Database

_DAY = ["%Y-%m-%d"]
NameArgument = Annotated[str, typer.Argument(help="The name of the campaign.")]
_Pacs = Annotated[
    str, typer.Option("--pacs", metavar="PEER", help="Name of an archive in the configuration.")
]
_Web = Annotated[
    str,
    typer.Option("--dicomweb", metavar="NAME", help="Name of a DICOMweb server: QIDO-RS, WADO-RS."),
]
_Folder = Annotated[
    Path | None, typer.Option("--folder", help="Folder with DICOM files of any series.")
]
_Bucket = Annotated[
    str, typer.Option("--bucket", metavar="URL", help="DICOM files as s3://bucket/prefix, gs, az.")
]
_First = Annotated[
    datetime | None,
    typer.Option("--from", formats=_DAY, metavar="DATE", help="First Study Date."),
]
_Last = Annotated[
    datetime | None, typer.Option("--to", formats=_DAY, metavar="DATE", help="Last Study Date.")
]
_Modality = Annotated[str, typer.Option("--modality", help="Of the series.")]
_Rate = Annotated[
    float, typer.Option("--rate", help="Images a second that the archive sends at most.")
]
_Disk = Annotated[
    float, typer.Option("--disk", metavar="GIB", help="For series that wait to be analysed.")
]
_Ahead = Annotated[int, typer.Option("--ahead", help="So many series may wait for a worker.")]
_MostAnswers = Annotated[
    int, typer.Option("--most-answers", help="What the archive caps its answers at, if known.")
]
_To = Annotated[
    str, typer.Option("--results-to", metavar="NAME", help="The one destination of the results.")
]


def campaign_create(
    name: NameArgument,
    pacs: _Pacs = "",
    dicomweb: _Web = "",
    folder: _Folder = None,
    bucket: _Bucket = "",
    first: _First = None,
    last: _Last = None,
    modality: _Modality = "CT",
    rate: _Rate = 10.0,
    hours: HoursOption = "0-24",
    disk: _Disk = 20.0,
    ahead: _Ahead = 20,
    most_answers: _MostAnswers = 0,
    to: _To = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Enter a campaign; `campaign run` works on it.

    Its results go to no destination but the one of --results-to, never by the routes.
    """
    from dicomnode.campaign.making import enter

    span = span_of_hours(hours)
    limits: dict[str, Any] = {"images_per_second": rate, "disk_gib": disk, "ahead": ahead}
    limits |= {"from_hour": span.first, "to_hour": span.last, "most_answers": most_answers}
    limits |= {"modality": modality, "to": to}
    days = {"first": first and first.date(), "last": last and last.date()}
    plan = _plan(_source(pacs, dicomweb, folder, bucket) | days | limits)
    settings = load_settings(config_file(config))
    with closing(opened(settings)) as database:
        enter(database, settings, name, plan, clock_of(database).now())
    recorded(settings, "campaign create", name)
    tell(name, "made", as_json)


def _source(pacs: str, dicomweb: str, folder: Path | None, bucket: str) -> dict[str, Any]:
    """
    Raises:
        typer.BadParameter: it is none, or several.
    """
    place = "" if folder is None else str(folder.absolute())
    named = {"pacs": pacs, "dicomweb": dicomweb, "folder": place, "bucket": bucket}
    given = [(source, where) for source, where in named.items() if where]
    if len(given) != 1:
        raise typer.BadParameter("give one of --pacs, --dicomweb, --folder and --bucket")
    return {"source": given[0][0], "place": given[0][1]}


def _plan(wished: dict[str, Any]) -> Plan:
    """
    Raises:
        ConfigurationError: all that is wrong with it.
    """
    try:
        return Plan(**wished, key=secrets.token_hex(32))
    except ValidationError as error:
        problems = problems_of(error, TypeAdapter(Plan).json_schema())
        raise ConfigurationError("; ".join(problems)) from None


def opened(settings: Settings) -> Database:
    """The node's database.

    Raises:
        ConfigurationError: no node has run yet.
    """
    from dicomnode.cli.views.queue_view import open_existing

    return open_existing(settings)


def tell(name: str, word: str, as_json: bool) -> None:
    """What was done to a campaign."""
    if as_json:
        print_json({"campaign": name, "done": word})
    else:
        typer.echo(f"campaign {name} is {word}")
