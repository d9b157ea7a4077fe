"""How `dicomnode pull` shows itself: a bar on a terminal, and a line for each series."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import MofNCompleteColumn, TimeElapsedColumn

from dicomnode.cli.views.progress import DESCRIBED, bars
from dicomnode.decisions.pulling import FoundSeries
from dicomnode.decisions.wording import how_many
from dicomnode.pull.steps import Progress, SeriesPulled


@contextmanager
def progress() -> Iterator[Progress]:
    """A bar for the series that is pulled now; give what it yields to `run.pull`."""
    with bars(*DESCRIBED, MofNCompleteColumn(), TimeElapsedColumn()) as bar:
        task = bar.add_task("asking the archive", total=None)

        def told(series: FoundSeries, here: int, of: int) -> None:
            name = f"series …{series.series_instance_uid[-12:]}"
            bar.update(task, description=name, completed=here, total=of or None)

        yield told


def as_line(pulled: SeriesPulled) -> str:
    """One series, in a line."""
    before = f", {pulled.here_before} were here" if pulled.here_before else ""
    lacking = f", {pulled.lacking} did not: {pulled.problem}" if pulled.lacking else ""
    return (
        f"series {pulled.series_instance_uid}: {how_many(pulled.instances, 'instance')}{before},"
        f" {pulled.came} came{lacking}"
    )
