"""`dicomnode commission`: a go-live test for each destination, and the sheet to be signed."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from dicomnode.cli.common import (
    ConfigOption,
    JsonOption,
    YesOption,
    ask,
    check_file,
    config_file,
    console,
    print_json,
    recorded,
)
from dicomnode.config.reading import load_settings
from dicomnode.errors import ConfigurationError

if TYPE_CHECKING:
    from dicomnode.commission.checks import Check
    from dicomnode.commission.sheet import Sheet
    from dicomnode.config.destinations import AnyDestination
    from dicomnode.config.settings import Settings

_MOMENTS = ("started_at", "ended_at")
_COLOURS = {"passed": "green", "failed": "red", "not tested": "yellow"}


def commission(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    yes: YesOption = False,
    destination: Annotated[
        list[str] | None,
        typer.Option("--destination", help="Only this one; may be given several times."),
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", help="Write the acceptance sheet here, as HTML.")
    ] = None,
    echo_wait: Annotated[
        float,
        typer.Option("--echo-wait", min=0, help="Wait so many seconds for a C-ECHO from each."),
    ] = 0.0,
    canary: Annotated[
        bool, typer.Option("--canary", help="Run the canary of the running node now, instead.")
    ] = False,
) -> None:
    """Test each destination as before going live: stores a synthetic patient's results there.

    The node may run or not; only while it is stopped a C-ECHO from the destination is seen. What
    is stored is withdrawn again, but stays there until somebody deletes it: asks before.
    """
    from dicomnode.commission.checks import Result
    from dicomnode.commission.run import chosen
    from inference.evaluation.report.pages import to_html

    logging.getLogger().setLevel(logging.ERROR)  # what is found stands in the sheet
    settings = load_settings(config_file(config))
    if canary:
        _run_canary(settings, as_json)
    tried = chosen(settings, destination or ())
    names = ", ".join(each.name for each in tried) or "no destination"
    if tried and not yes:
        what = f"results of a synthetic patient will be stored at {names}, and withdrawn"
        ask(what, "Go on?", "nothing was stored", as_json=as_json)
    if sheet is not None:
        check_file(sheet)
    done, study = _tested(settings, tried, echo_wait, as_json)
    recorded(settings, "commission", f"{names}: {done.summary}", [study])
    if sheet is not None:
        sheet.write_text(to_html(done.document()), "utf-8")
    if as_json:
        print_json(done.as_json())
    else:
        typer.echo(done.summary)
    raise SystemExit(1 if done.count(Result.FAILED) else 0)


def _tested(
    settings: Settings, tried: Sequence[AnyDestination], echo_wait: float, as_json: bool
) -> tuple[Sheet, str]:
    """The sheet, and the Study Instance UID of the synthetic patient."""
    from dicomnode.commission.bench import prepared
    from dicomnode.commission.run import no_destination, run_checks
    from dicomnode.commission.sheet import Sheet
    from dicomnode.config.digest import settings_digest

    with prepared(settings, datetime.now(UTC)) as bench, _telling(as_json) as tell:
        with _stopped_by(signal.SIGTERM):
            try:
                parts = run_checks(bench, tried, echo_wait, tell)
            except BaseException:
                for text in bench.take_back():
                    typer.echo(text, err=True)
                if bench.owed:
                    study = bench.patient.study_instance_uid
                    recorded(settings, "commission", f"{', '.join(bench.owed)}: stopped", [study])
                raise
        sheet = Sheet(
            ae_title=settings.node.ae_title,
            done_at=bench.patient.drawn_at,
            configuration=settings_digest(settings),
            patient_id=bench.patient.patient_id,
            node_ran=bench.node_runs,
            parts=parts if tried else (*parts, no_destination()),
        )
        return sheet, bench.patient.study_instance_uid


@contextmanager
def _stopped_by(number: signal.Signals) -> Iterator[None]:
    """As by Ctrl-C, so that what was stored is withdrawn first."""
    before = signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(number, before)


def _run_canary(settings: Settings, as_json: bool) -> NoReturn:
    """Exit status 0 where it passed."""
    from dicomnode.canary.run import run_canary
    from dicomnode.cli.views.queue_view import open_existing
    from dicomnode.data_directory.holding import is_held

    if not settings.canary.enabled:
        raise ConfigurationError("the canary is not admitted: set enabled = true in [canary]")
    if not is_held(settings.node.data_directory):
        raise ConfigurationError("no node runs here, and the canary goes through it: serve first")
    tell = (lambda _stage: None) if as_json else (lambda stage: typer.echo(f"{stage} …"))
    done = run_canary(settings, open_existing(settings), "by hand", tell=tell)
    recorded(settings, "commission --canary", done.text if done else "broken off")
    if done is None:
        raise SystemExit(1)
    if as_json:
        print_json({**asdict(done), **{at: str(getattr(done, at)) for at in _MOMENTS}})
    else:
        typer.echo(f"{'passed' if done.passed else f'failed at {done.stage}'}: {done.text}")
    raise SystemExit(0 if done.passed else 1)


@contextmanager
def _telling(as_json: bool) -> Iterator[Callable[[str, Check], None]]:
    """A line for each check as it is done; on a terminal something moves until the next."""
    shown = console()
    if as_json:
        yield lambda *_: None
        return
    with shown.status("testing"):
        yield partial(_tell, shown)


def _tell(shown: Console, about: str, check: Check) -> None:
    """What to do stands in a line below."""
    line = Text(f"{check.result:<10} ", style=_COLOURS[check.result])
    line.append(f"{about}: {check.what}: {check.found}", style="default")
    shown.print(line, soft_wrap=True)
    if check.remedy:
        shown.print(Text(f"{'':<10} set or do: {check.remedy}"), soft_wrap=True)
