"""`dicomnode campaign`: working through an archive beside the clinical work."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Annotated, NoReturn

import typer

from dicomnode.cli.campaign_create import NameArgument, campaign_create, opened, tell
from dicomnode.cli.common import (
    ConfigOption,
    JsonOption,
    YesOption,
    ask,
    config_file,
    console,
    open_database,
    print_json,
    recorded,
    replacing,
)
from dicomnode.clock import clock_of
from dicomnode.config.reading import load_settings
from dicomnode.config.settings import Settings
from dicomnode.decisions.wording import how_many
from dicomnode.errors import AlreadyRunningError, ConfigurationError
from dicomnode.lifecycle import block_stop_signals, stop_on_request
from dicomnode.logs import set_up_logging
from storage.campaign_records import Campaign, CampaignState
from storage.database import Database

campaign_app = typer.Typer(
    help="Campaigns: an archive worked through beside the clinical work.", no_args_is_help=True
)


campaign_app.command("create")(campaign_create)


@campaign_app.command("run")
def campaign_run(
    name: NameArgument,
    until_empty: Annotated[
        bool, typer.Option("--until-empty", help="End when nothing is left to do, or it is paused.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Work on a campaign until Ctrl-C; whatever is killed, the same command goes on.

    The node must run: it receives and analyses what is asked for. One process of a node works on a
    campaign; on other nodes others may, and the rate is that of all together.
    """
    from dicomnode.audit import trail

    block_stop_signals()
    settings = load_settings(config_file(config))
    set_up_logging("campaign", settings.log)
    stop = stop_on_request()
    trail.begin(settings, "campaign")
    try:
        with closing(opened(settings)) as database:
            state = _work_on(settings, database, _found(database, name), stop, until_empty)
    finally:
        trail.end()
    if state is None:
        typer.echo(f"campaign {name} was removed", err=True)
    elif until_empty and state is CampaignState.PAUSED:
        typer.echo(f"campaign {name} is paused: dicomnode campaign resume {name}", err=True)
    if until_empty and state is not CampaignState.DONE:
        raise typer.Exit(1)


def _work_on(
    settings: Settings, database: Database, campaign: Campaign, stop: Event, until_empty: bool
) -> CampaignState | None:
    from dicomnode.campaign.making import own_folder, source_of
    from dicomnode.campaign.runner import Runner
    from dicomnode.data_directory.holding import id_of_node, locked_folder
    from dicomnode.disk_gate import DiskGate

    gate = DiskGate(settings.instances, settings.disk)
    owner = f"{id_of_node(settings.node.data_directory)}/"
    with (
        locked_folder(own_folder(settings, campaign)) as is_ours,
        closing(source_of(database, settings, campaign, stop)) as source,
    ):
        if not is_ours:
            raise AlreadyRunningError(f"another process here works on campaign {campaign.name}")
        runner = Runner(database, campaign, source, stop, lambda: gate.refuses() or "", owner=owner)
        return runner.run(until_empty)


@campaign_app.command("pause")
def campaign_pause(
    name: NameArgument, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Ask for nothing more, once what is under way is here; what is here is still analysed.

    One that is done is not paused.
    """
    from storage import campaigns

    settings = load_settings(config_file(config))
    with closing(opened(settings)) as database:
        campaign = _found(database, name)
        with database.write() as session:
            state = campaigns.pause(session, campaign.campaign_id)
    if state is CampaignState.DONE:
        raise ConfigurationError(f"campaign {name} is done: nothing of it is left to pause")
    recorded(settings, "campaign pause", name)
    tell(name, "paused", as_json)


@campaign_app.command("resume")
def campaign_resume(
    name: NameArgument, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Go on with a campaign that is paused; one that is done asks once more for what is new there.

    What is known of it stays as it is: no study is looked at twice.
    """
    from storage import campaigns

    settings = load_settings(config_file(config))
    with closing(opened(settings)) as database:
        campaign = _found(database, name)
        with database.write() as session:
            again = campaigns.resume(session, campaign.campaign_id)
    recorded(settings, "campaign resume", name)
    tell(name, "resumed" + (", and asks once more for what is new" if again else ""), as_json)


@campaign_app.command("status")
def campaign_status(
    name: NameArgument,
    watch: Annotated[bool, typer.Option("--watch", help="Live, until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option("--every", min=0.2, help="Seconds between looks.")] = 2.0,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """How far a campaign is, what it waits for, and how long it will take still.

    With --watch and --json: a line of JSON whenever something has changed.
    """
    from dicomnode.campaign.standing import Standing, look
    from dicomnode.cli.views import campaign_view

    settings = load_settings(config_file(config))
    with closing(opened(settings)) as database:
        clock = clock_of(database)

        def looked() -> Standing:
            found = look(database, name, clock.now())
            return found or _none_is_called(name)

        def wait() -> bool:
            time.sleep(every)
            return True

        if watch:
            campaign_view.watch(console(), looked, wait, as_json=as_json)
        elif as_json:
            print_json(looked().as_json())
        else:
            campaign_view.print_standing(console(), looked())


@campaign_app.command("list")
def campaign_list(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """All campaigns."""
    from dicomnode.cli.views import campaign_view
    from storage import campaigns

    with closing(open_database(config)) as database, database.read() as session:
        found = campaigns.every(session)
    if as_json:
        print_json([campaign_view.as_row(each) for each in found])
    else:
        campaign_view.print_list(console(), found)


@campaign_app.command("export")
def campaign_export(
    name: NameArgument,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write a CSV file.")] = None,
    parquet: Annotated[Path | None, typer.Option("--parquet", help="Write a Parquet file.")] = None,
    pseudonymous: Annotated[
        bool, typer.Option("--pseudonymous", help="Digests in the place of UIDs.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """The outcome: a row for each series with its state, reasons and probabilities.

    A file that is there is replaced, once the new one is whole; its folder must be there.
    """
    wanted = [path for path in (csv, parquet) if path is not None]
    if not wanted or len({path.absolute() for path in wanted}) < len(wanted):
        raise typer.BadParameter("give --csv FILE, --parquet FILE, or both, to two files")
    settings = load_settings(config_file(config))
    for path in wanted:
        _check_place(settings, path)
    with closing(opened(settings)) as database:
        count = _export(database, _found(database, name), csv, parquet, pseudonymous)
    if as_json:
        print_json({"series": count})
    else:
        typer.echo(f"{how_many(count, 'row')} written")


def _check_place(settings: Settings, path: Path) -> None:
    """
    Raises:
        ConfigurationError: no file of a person's can be there.
    """
    if not path.parent.is_dir():
        raise ConfigurationError(f"{path}: there is no folder {path.parent}")
    if path.is_dir():
        raise ConfigurationError(f"{path} is a folder: name a file in it")
    if path.resolve().is_relative_to(settings.node.data_directory.resolve()):
        raise ConfigurationError(f"{path} is in the data directory, which is the node's own")


def _export(
    database: Database,
    campaign: Campaign,
    csv: Path | None,
    parquet: Path | None,
    pseudonymous: bool,
) -> int:
    from dicomnode.campaign.table import Outcome, write_csv, write_parquet

    outcome, count = Outcome(database, campaign, pseudonymous=pseudonymous), 0
    for path, write in ((csv, write_csv), (parquet, write_parquet)):
        if path is not None:
            with replacing(path) as file:
                count = write(outcome, file)
    return count


@campaign_app.command("remove")
def campaign_remove(
    name: NameArgument,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    yes: YesOption = False,
) -> None:
    """Forget a campaign with its table; series that came stay, and what came of them."""
    from storage import campaigns

    settings = load_settings(config_file(config))
    with closing(opened(settings)) as database:
        campaign = _found(database, name)
        if not yes:
            what = f"campaign {name} with its table"
            ask(what, "Remove it?", "nothing was removed", as_json=as_json)
        with database.write() as session:
            campaigns.remove(session, campaign.campaign_id)
    recorded(settings, "campaign remove", name)
    tell(name, "removed", as_json)


def _found(database: Database, name: str) -> Campaign:
    """
    Raises:
        ConfigurationError: there is none.
    """
    from storage import campaigns

    with database.read() as session:
        found = campaigns.find(session, name)
    return found or _none_is_called(name)


def _none_is_called(name: str) -> NoReturn:
    """
    Raises:
        ConfigurationError
    """
    raise ConfigurationError(f"there is no campaign called {name!r}")
