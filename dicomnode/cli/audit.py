"""`dicomnode audit`: who did what, and the flight records of analyses."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from dicomnode.cli.common import (
    ConfigOption,
    JsonOption,
    SinceOption,
    config_file,
    console,
    moment,
    print_json,
)
from dicomnode.config.reading import load_settings
from dicomnode.decisions.wording import how_many
from dicomnode.errors import ConfigurationError

audit_app = typer.Typer(
    help="Who did what; and of each analysis what it was made of and led to.", no_args_is_help=True
)


@audit_app.command("list")
def audit_list(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    since: SinceOption = None,
    event: Annotated[
        str, typer.Option("--event", help="A part of the event's name, e.g. transferred, alert.")
    ] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 100,
) -> None:
    """The newest messages of the audit trail, oldest first."""
    from dicomnode.cli.views import audit_view
    from dicomnode.cli.views.tables import nothing_found

    settings = load_settings(config_file(config))
    after = None if since is None else moment(since, datetime.now(UTC))
    try:
        found, damaged = audit_view.look_up(settings.audit_file, after, event, limit)
    except OSError as error:
        raise ConfigurationError(f"{settings.audit_file}: {error.strerror}") from error
    if as_json:
        print_json([each.as_json() for each in found])
    else:
        nothing = nothing_found("message", event=event, since=since)
        audit_view.print_entries(console(), found, nothing)
    if damaged:
        typer.echo(f"{how_many(damaged, 'line')} of the trail cannot be read", err=True)


@audit_app.command("flights")
def audit_flights(
    uid: Annotated[
        str,
        typer.Argument(help="Only of this study or series: UID, ending, or accession no."),
    ] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="The columns that ACR's Assess-AI asks for.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check the chain of all records; 1 if it is broken.")
    ] = False,
    anchor: Annotated[
        str, typer.Option("--anchor", help="With --verify: NUMBER:DIGEST, as the log told it.")
    ] = "",
) -> None:
    """The flight records: of each analysis its inputs, models, settings, findings and results."""
    from dicomnode.cli.views import flights_view, queue_view
    from storage import flight_records

    database = queue_view.open_existing(load_settings(config_file(config)))
    if verify:
        raise typer.Exit(_verify(flights_view.check(database, _anchor(anchor)), as_json))
    with database.read() as session:
        found = flight_records.records(session, uid.strip())
        if as_csv:
            flights_view.write_csv(sys.stdout, found)
        elif as_json:
            print_json([flights_view.as_json(each) for each in found])
        else:
            flights_view.print_flights(console(), found, session, uid.strip())


def _verify(checked: tuple[int, list[str]], as_json: bool) -> int:
    count, breaks = checked
    if as_json:
        print_json({"records": count, "breaks": breaks})
    else:
        for text in breaks:
            typer.echo(text)
        broken = how_many(len(breaks), "break") if breaks else "no breaks"
        typer.echo(f"{how_many(count, 'record')}, {broken}")
    return 1 if breaks else 0


def _anchor(text: str) -> tuple[int, str] | None:
    if not text:
        return None
    found = re.fullmatch("([0-9]+):([0-9a-f]{64})", text.strip())
    if found is None:
        raise typer.BadParameter("--anchor is NUMBER:DIGEST, 64 hexadecimal digits")
    return int(found[1]), found[2]
