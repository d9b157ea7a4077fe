"""How a training shows itself to a person: progress bars on a terminal, lines elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from inference.progress import Progress
from inference.training.curves import plot_curves
from inference.training.loop import CURVES, LoopView
from inference.training.plan import Example
from inference.training.scan import Split
from inference.training.task import Stage, Validation

PICTURE = "curves.png"
log = logging.getLogger(__name__)


class TrainView(LoopView):
    """Bars while it runs, and a line for each validation."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._folder = Path()

    def begins(
        self, folder: Path, again: bool, examples: Mapping[Split, Sequence[Example]]
    ) -> None:
        """Say how many scans of how many patients there are for what; pictures go to `folder`."""
        self._folder = folder
        text = ", ".join(
            f"{split} {len(some)} scans of {len({each.patient for each in some})} patients"
            for split, some in examples.items()
        )
        log.info("%s: %s", "going on" if again else "beginning", text)

    @contextmanager
    def preparing(self) -> Iterator[Progress]:
        """What it yields is told how many scans are prepared."""
        with Bars(*self._bars.columns, console=self._console, disable=self._bars.disable) as bars:
            task = bars.add_task("preparing scans", total=None)
            yield lambda _stage, done, total: bars.update(task, completed=done, total=total)

    @contextmanager
    def training(self, stages: Sequence[Stage]) -> Iterator[None]:
        """A bar for each stage."""
        with self._bars:
            for stage in stages:
                self._tasks[stage.name] = self._bars.add_task(stage.name, total=stage.steps)
            yield
        self._draw()

    def step(self, stage: Stage, step: int, losses: dict[str, float]) -> None:
        text = ", ".join(f"{name} {value:.3f}" for name, value in losses.items())
        task = self._tasks[stage.name]
        self._bars.update(task, completed=step, description=f"stage {stage.name}: {text}")

    def validated(self, stage: Stage, step: int, result: Validation, is_best: bool) -> None:
        text = ", ".join(f"{name} {value:.3f}" for name, value in result.figures.items())
        best = " (best)" if is_best else ""
        log.info("stage %s, step %d of %d: %s%s", stage.name, step, stage.steps, text, best)
        self._draw()

    def _draw(self) -> None:
        """The curves so far, where there is something to draw with."""
        try:
            plot_curves(self._folder / CURVES, self._folder / PICTURE)
        except ImportError:
            log.warning("no %s: the package matplotlib (extra `train`) is missing", PICTURE)
