"""How `dicomnode process` and the demo show outcomes to a person."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import TimeElapsedColumn

from dicomnode.cli.views.findings_view import findings_lines
from dicomnode.cli.views.progress import DESCRIBED, bars
from dicomnode.cli.views.tables import add_row, new_table, print_table
from dicomnode.decisions.reasons import Verdict
from dicomnode.offline.process import SeriesOutcome


@contextmanager
def reading_progress(console: Console) -> Iterator[Callable[[str, str, int, int], None]]:
    """A progress bar; give what it yields to `process_folder`."""
    with bars(*DESCRIBED, TimeElapsedColumn(), console=console) as bar:
        task = bar.add_task("reading", total=None)

        def on_progress(uid: str, stage: str, done: int, total: int) -> None:
            bar.update(task, description=f"…{uid[-12:]} {stage}", completed=done, total=total)

        yield on_progress


def print_outcomes(console: Console, outcomes: Sequence[SeriesOutcome]) -> None:
    """A row for each series: state, what stopped it or what was found, time, objects."""
    headings = ("series", "state", "reasons or probabilities", "seconds", "objects")
    table = new_table(f"{len(outcomes)} series", *headings)
    for outcome in outcomes:
        add_row(
            table,
            outcome.series_instance_uid or "(files of no series)",
            outcome.state,
            _told(outcome),
            ", ".join(f"{stage} {value:.1f}" for stage, value in outcome.seconds.items()),
            str(len(outcome.objects)),
        )
    print_table(console, table)


def _told(outcome: SeriesOutcome) -> str:
    if outcome.findings is None:
        return "\n".join(str(each) for each in outcome.reasons if each.verdict is Verdict.FAIL)
    return "\n".join(findings_lines(outcome.findings, outcome.failures, outcome.agreement))
