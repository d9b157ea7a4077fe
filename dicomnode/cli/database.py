"""`dicomnode database`: taken elsewhere, begun anew over what lies here; a lost node forgotten, and
another object store taken."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from dicomnode.audit.events import AlertKind
from dicomnode.cli.common import (
    ConfigOption,
    JsonOption,
    YesOption,
    ask,
    config_file,
    open_database,
    print_json,
    recorded,
)
from dicomnode.cli.views.progress import at_work
from dicomnode.config.reading import load_settings
from dicomnode.decisions.wording import how_many
from dicomnode.errors import ConfigurationError

if TYPE_CHECKING:  # they take long to load
    from sqlalchemy.orm import Session

    from storage.forgetting import LeftBehind
    from storage.overview_records import Node

_KIND = AlertKind.SOFTWARE_CONFIGURATION

database_app = typer.Typer(
    help="The database: taken elsewhere, begun anew, a lost node forgotten.", no_args_is_help=True
)


@database_app.command("move")
def database_move(
    to: Annotated[
        str,
        typer.Option(
            "--to",
            envvar="DICOMNODE_MOVE_TO",
            help="SQLAlchemy URL of an empty database, e.g. postgresql://user@host/name.",
        ),
    ],
    config: ConfigOption = None,
    as_json: JsonOption = False,
    yes: YesOption = False,
) -> None:
    """Take the database to another place, every table in one transaction; the node must not run.

    Then name the new place as node.database_url. The former one stays as a back-up. Asks before it
    does, and with --json wants --yes.
    """
    from dicomnode.data_directory.holding import only_one
    from dicomnode.data_directory.own_data import check_own
    from storage.database import Database
    from storage.move import move_rows

    settings = load_settings(config_file(config))
    with only_one(settings.node.data_directory) as node_id:
        check_own(settings, node_id)
        if not yes:
            what = f"no node begins any more on the database of {settings.node.data_directory}"
            ask(what, "Move it?", "nothing was moved", as_json=as_json)
        with (
            closing(Database.open(settings.database_url)) as source,
            closing(Database.open(to)) as target,
            at_work("moving the database"),
        ):
            moved, place = move_rows(source, target), target.url
        recorded(settings, "database move", f"{sum(moved.values())} rows to {place}", kind=_KIND)
    if as_json:
        print_json({"rows": moved, "to": place})
        return
    typer.echo(f"{how_many(sum(moved.values()), 'row')} of {len(moved)} tables moved to {place}")
    typer.echo("name it in [node] database_url: no node begins on the former one any more")


@database_app.command("downgrade")
def database_downgrade(
    to: Annotated[
        str, typer.Option("--to", help="The newest schema that the earlier release knows: it says.")
    ],
    config: ConfigOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Go back to the schema of an earlier release, before that is installed again.

    What only this release knows is lost, flight records among it: back up first. The node must not
    run.
    """
    from dicomnode.data_directory.holding import only_one
    from dicomnode.data_directory.own_data import check_own
    from storage.database import Database

    settings = load_settings(config_file(config))
    with only_one(settings.node.data_directory) as node_id:
        check_own(settings, node_id)
        if not yes:
            what = f"what the schema {to} has no place for is lost"
            ask(what, "Go back to it?", "nothing was changed", as_json=as_json)
        recorded(settings, "database downgrade", f"to schema {to}", kind=_KIND)
        with closing(Database.open(settings.database_url)) as database:
            database.step_back(to)
    if as_json:
        print_json({"schema": to})
        return
    typer.echo(f"the database has schema {to}: install the release that knows it, before any start")


@database_app.command("adopt")
def database_adopt(
    config: ConfigOption = None, as_json: JsonOption = False, yes: YesOption = False
) -> None:
    """Begin a database anew with what lies in the data directory, and hold all of it.

    For when it is lost and there is no back-up. Nothing is analysed or sent before `dicomnode
    database release`; what was withdrawn stays so. The node must not run. Asks before it does, and
    with --json wants --yes.
    """
    from dicomnode.data_directory.holding import only_one
    from dicomnode.data_directory.own_data import LostHistoryError, take_database
    from dicomnode.receive.adoption import adopt_files
    from storage.database import Database

    settings = load_settings(config_file(config))
    with only_one(settings.node.data_directory) as node_id:
        try:
            take_database(settings, node_id)
        except LostHistoryError as lost:
            if not yes:
                ask(str(lost), "Begin anew, and hold all?", "nothing was begun", as_json=as_json)
            with (
                closing(Database.open(settings.database_url)) as database,
                at_work("reading what lies here"),
            ):
                adopted = adopt_files(database, settings, node_id, datetime.now(UTC))
        else:
            here = settings.node.data_directory
            raise ConfigurationError(f"the database knows what lies in {here}: nothing to adopt")
    recorded(settings, "database adopt", f"{adopted.instances} instances", kind=_KIND)
    if as_json:
        print_json(adopted.as_json())
        return
    typer.echo(
        f"{how_many(adopted.instances, 'instance')}, {how_many(adopted.results, 'result')}, "
        f"{how_many(adopted.withdrawn, 'withdrawn set')}; held: {adopted.series_held} series, "
        f"{how_many(adopted.deliveries_held, 'delivery')}"
    )
    for folder in adopted.left_alone:
        typer.echo(f"results in {folder}: their CT series cannot be told; move them elsewhere")


@database_app.command("release")
def database_release(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Let go what `adopt` holds: series are decided on, results are sent where they are not yet.

    One by one: `dicomnode queue retry` a series, `dicomnode results resend` a set of results.
    """
    from storage import adopt
    from storage.statements import moment

    with open_database(config).write() as session:
        series, deliveries = adopt.release(session, moment(session))
    what = f"{series} series, {deliveries} deliveries"
    recorded(load_settings(config_file(config)), "database release", what, kind=_KIND)
    if as_json:
        print_json({"series": series, "deliveries": deliveries})
        return
    typer.echo(f"{series} series to be decided on, {how_many(deliveries, 'object')} to be sent")


@database_app.command("forget")
def database_forget(
    node: Annotated[str, typer.Argument(help="Its name, or its id, as `dicomnode status` has it.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
    yes: YesOption = False,
) -> None:
    """Wait no more for a node of this database that never comes back; `status` tells no more of it.

    It must be lost. Tells first what it alone had. The others go on asking the archive for what
    their series lack; what it had not sent is given up. Asks before it does, and with --json wants
    --yes.
    """
    from storage.forgetting import forget, left_behind

    settings = load_settings(config_file(config))
    with closing(open_database(config)) as database:
        with database.read() as session:
            found = _lost_node(session, node)
            left = left_behind(session, found.node_id)
        what = f"{found.name} ({found.node_id}) alone had {_told(left)}"
        if not yes:
            ask(what, "Forget it?", "nothing was changed", as_json=as_json)
        with database.write() as session:
            if not forget(session, found.node_id):
                raise ConfigurationError(f"{found.name} is heard of again: nothing was changed")
    recorded(settings, "database forget", what, kind=_KIND)
    if as_json:
        print_json({"node": found.node_id, "name": found.name, **asdict(left)})
        return
    typer.echo(f"forgotten: {what}")
    if left.unsent:
        typer.echo("what was not sent: dicomnode deliveries list --state failed")


@database_app.command("store")
def database_store(
    accept: Annotated[
        bool,
        typer.Option("--accept", help="Take the one at object_store.url, whatever it bears."),
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    yes: YesOption = False,
) -> None:
    """Whether what answers at object_store.url is the object store that the database knows.

    It bears the id that the database has, in an object of its own; status 1 where it does not. With
    --accept another is taken in its place, a new and empty one too: what the database names and it
    lacks is then put there by the nodes that have good copies, or asked of the archive. No other
    database may use the same place. Asks before it does, and with --json wants --yes.
    """
    from storage import known_store

    settings = load_settings(config_file(config))
    if not settings.object_store.url:
        raise ConfigurationError("there is none: [object_store] url")
    with closing(open_database(config)) as database:
        store = settings.object_store.opened()
        with database.read() as session:
            known = known_store.known_id(session)
        mark = known_store.read_mark(store)
        missing, named = known_store.lacks(database, store)
        what = _of_store(known, mark, missing, named)
        if accept:
            if not yes:
                ask(what, "Take it?", "nothing was changed", as_json=as_json)
            known = mark = known_store.accept(database, store)
            recorded(settings, "database store", f"accepted: {what}", kind=_KIND)
            what = f"taken: {what}"
    if as_json:
        print_json({"known": known, "mark": mark, "lacks": missing, "looked_for": named})
    else:
        typer.echo(what)
    if known != mark:
        raise typer.Exit(1)


def _of_store(known: str | None, mark: str | None, missing: int, named: int) -> str:
    whose = "bears the mark of this database" if mark == known else "bears the mark of another"
    whose = "bears no mark" if mark is None else whose
    never = "" if known else "; the database has used none yet"
    objects = f"; of {how_many(named, 'object')} looked for it lacks {missing}" if named else ""
    return f"the store {whose}{never}{objects}"


def _lost_node(session: Session, called: str) -> Node:
    """
    Raises:
        ConfigurationError: there is none, or several, or it is heard of.
    """
    from storage.forgetting import nodes_called

    found = nodes_called(session, called)
    lost = [each for each in found if each.left_at is not None]
    if len(lost) > 1:
        ids = ", ".join(each.node_id for each in lost)
        raise ConfigurationError(f"{len(lost)} lost nodes are called {called}: give one of {ids}")
    if not lost:
        why = "is heard of: stop it first" if found else "is no node of this database"
        raise ConfigurationError(f"{called} {why}")
    return lost[0]


def _told(left: LeftBehind) -> str:
    objects = how_many(left.results, "result object")
    return (
        f"{how_many(left.instances, 'instance')} of {left.open_series} series that wait for them "
        f"and of {left.ended_series} that have ended, and {objects}; not sent: "
        f"{how_many(left.unsent, 'delivery')}"
    )
