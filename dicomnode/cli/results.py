"""`dicomnode results`: what became of them; sending again, renewing, withdrawing and undoing it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

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
)
from dicomnode.clock import clock_of
from dicomnode.config.reading import load_settings
from dicomnode.decisions.rejection import RejectionReason
from dicomnode.decisions.wording import how_many

results_app = typer.Typer(
    help="Results: sent where, send again, renew, withdraw, undo that.", no_args_is_help=True
)

ResultArgument = Annotated[
    str,
    typer.Argument(
        help="A UID of a result, of its CT series or study, a unique ending, or an accession no."
    ),
]


@results_app.command("list")
def results_list(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many sets.")] = 100,
) -> None:
    """The sets of results made last, newest first."""
    from dicomnode.cli.views import queue_view, results_view

    database = open_database(config)
    sets = results_view.list_sets(database, limit)
    if as_json:
        print_json([results_view.set_json(each) for each in sets])
    else:
        keys = (each.series.series_key for each in sets)
        results_view.print_list(console(), sets, queue_view.series_endings(database, keys))


@results_app.command("show")
def results_show(
    uid: ResultArgument, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """The sets of results of a series, newest first, with each object and its deliveries."""
    from dicomnode.cli.views import results_view

    sets = results_view.find_sets(open_database(config), uid)
    if as_json:
        print_json([results_view.set_json(each) for each in sets])
        return
    for each in sets:
        results_view.print_set(console(), each)


@results_app.command("resend")
def results_resend(
    uid: ResultArgument, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Send one set of results again, to the destinations that routes lead to."""
    from dicomnode.cli.views import queue_view, results_view
    from dicomnode.deliver.resend import no_report, resend

    settings = load_settings(config_file(config))
    database = queue_view.open_existing(settings)
    chosen = results_view.standing_set(database, uid)
    done = resend(database, settings, chosen, clock_of(database).now())
    study = chosen.series.study_instance_uid
    recorded(settings, "results resend", how_many(done.count, "delivery"), [study])
    if as_json:
        print_json(asdict(done))
        return
    typer.echo(f"series {done.series_key}: {how_many(done.count, 'delivery')} to be sent again")
    for name in done.without_report:
        typer.echo(no_report(name), err=True)


@results_app.command("renew")
def results_renew(
    uid: ResultArgument, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Analyse a series again, with the model and settings of the running node.

    It need not have results: it may have been skipped, or have failed.
    """
    from dicomnode.assess.again import renew
    from dicomnode.cli.views import queue_view, results_view

    settings = load_settings(config_file(config))
    database = queue_view.open_existing(settings)
    series = results_view.one_series(database, uid)
    renew(database, settings, series, clock_of(database).now())
    recorded(settings, "results renew", studies=[series.study_instance_uid])
    if as_json:
        print_json({"series_key": series.series_key})
        return
    typer.echo(f"series {series.series_key}: is decided on and analysed again")


@results_app.command("retract")
def results_retract(
    uid: ResultArgument,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    reason: Annotated[
        RejectionReason,
        typer.Option("--reason", help="Misleading, of the wrong patient, or no longer so."),
    ] = RejectionReason.SAFETY,
    yes: YesOption = False,
) -> None:
    """Withdraw one set of results: a rejection note, or a report in its place, says so.

    Asks before it does, and with --json wants --yes. `dicomnode results reinstate` undoes it.
    """
    from dicomnode.cli.views import queue_view, results_view
    from dicomnode.deliver.retract import retract

    settings = load_settings(config_file(config))
    database = queue_view.open_existing(settings)
    chosen = results_view.one_set(database, uid)
    if not yes and chosen.retracted_at is None:
        what = f"{results_view.told_of(chosen)}; reason: {reason.value}"
        ask(what, "Withdraw them?", "nothing was withdrawn", as_json=as_json)
    done = retract(database, settings, chosen, reason, clock_of(database).now())
    study = chosen.series.study_instance_uid
    what = f"{how_many(len(done.withdrawn), 'object')}, {reason.value}"
    recorded(settings, "results retract", what, [study])
    if as_json:
        print_json(done.as_json())
        return
    how = "withdrawn before" if done.already else "withdrawn"
    text = f"; {', '.join(done.notified)} will be told" if done.notified else ""
    typer.echo(
        f"series {chosen.series.series_key}: {how_many(len(done.withdrawn), 'object')} {how}{text}"
    )


@results_app.command("reinstate")
def results_reinstate(
    uid: ResultArgument,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    yes: YesOption = False,
) -> None:
    """Undo the withdrawal of a set: the same results are sent as new ones, which say so.

    They get UIDs of their own: what a PACS has rejected it may never show again. Asks before it
    does, and with --json wants --yes.
    """
    from dicomnode.cli.views import queue_view, results_view
    from dicomnode.deliver.reinstate import reinstate

    settings = load_settings(config_file(config))
    database = queue_view.open_existing(settings)
    chosen = results_view.one_set(database, uid)
    if not yes and chosen.retracted_at is not None:
        what = results_view.told_of(chosen)
        ask(what, "Send them anew?", "nothing was reinstated", as_json=as_json)
    uids = reinstate(database, settings, chosen, clock_of(database).now())
    study = chosen.series.study_instance_uid
    recorded(settings, "results reinstate", how_many(len(uids), "object"), [study])
    if as_json:
        print_json({"reinstated": list(uids)})
        return
    typer.echo(f"series {chosen.series.series_key}: {how_many(len(uids), 'result')} sent anew")
