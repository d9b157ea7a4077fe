"""`dicomnode worker`: analysing on a host that has only the database and the object store."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from dicomnode.cli.common import ConfigOption, config_file
from dicomnode.config.reading import load_settings
from dicomnode.config.settings import Settings
from dicomnode.errors import ConfigurationError
from dicomnode.lifecycle import RENEWAL, block_stop_signals, stop_on_request
from dicomnode.logs import set_up_logging


def worker(
    until_empty: Annotated[
        bool, typer.Option("--until-empty", help="End when nothing is left to analyse.")
    ] = False,
    wait: Annotated[
        float,
        typer.Option(
            "--wait",
            min=0,
            metavar="SECONDS",
            help="With --until-empty: so long it waits, with nothing to do, for series that are "
            "received, or not decided yet.",
        ),
    ] = 600.0,
    capability: Annotated[
        list[str] | None,
        typer.Option(
            "--capability",
            metavar="NAME",
            help="What this host has, as [inference] needs asks for it; may be repeated.",
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Analyse on this host what nodes have received: no port, no destination, until SIGTERM.

    It reads series from the object store, and leaves results there for the nodes to send. Its data
    directory, which must be its own, holds copies alone. [inference] workers says how many.
    """
    block_stop_signals(RENEWAL)
    set_up_logging("workers")
    file = config_file(config)
    read = partial(worker_settings, file, tuple(capability or ()))
    settings = read()
    from dicomnode.audit import syslog, trail
    from dicomnode.data_directory.holding import keep_settings, only_one
    from dicomnode.data_directory.own_data import Taking
    from dicomnode.data_directory.worker_host import be_worker_host
    from dicomnode.monitor import workers
    from dicomnode.processes.checks import check_start
    from dicomnode.processes.introduction import introduce
    from dicomnode.processes.supervisor import Supervisor

    stop = stop_on_request(RENEWAL)
    set_up_logging("workers", settings.log)
    introduce(settings, file, workers_alone=True)
    with (
        only_one(settings.node.data_directory) as node_id,
        syslog.sent_to_the_last(settings),
        trail.of_node(settings),
    ):
        be_worker_host(settings)
        check_start(settings, receives=False)
        taking = Taking(settings, node_id, stop)
        kept = keep_settings(settings)
        supervisor = Supervisor(settings, kept, node_id, taking, read=read, workers_alone=True)
        with workers.looked_after(settings, node_id, stop, wait if until_empty else None):
            supervisor.run(stop)


def worker_settings(file: Path, capabilities: tuple[str, ...]) -> Settings:
    """As configured; one worker at least, which computes nothing ahead: nothing comes here. Its
    audit trail is its own, whatever file the nodes have: who has one sends all of it to syslog.

    Raises:
        ConfigurationError: no other host could see what these workers do.
    """
    settings = load_settings(file)
    if not settings.node.shares_database:
        raise ConfigurationError(
            f"{file}: workers need what the nodes use: [node] shares_database = true, a PostgreSQL "
            "in database_url, and [object_store] url"
        )
    inference = settings.inference.model_dump()
    inference["capabilities"] = (*settings.inference.capabilities, *capabilities)
    inference |= {"workers": max(1, settings.inference.workers), "begin_early": False}
    try:
        checked = type(settings.inference).model_validate(inference)
    except ValidationError as error:
        why = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ConfigurationError(f"--capability: {why}") from None
    audit = settings.audit.model_copy(update={"file": ""})
    return settings.model_copy(update={"inference": checked, "audit": audit})
