"""`dicomnode model simulate`: labelled scans with simulated lesions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import MofNCompleteColumn, TimeRemainingColumn

from dicomnode.cli.model import model_app
from dicomnode.cli.views.progress import DESCRIBED, bars


@model_app.command("simulate")
def model_simulate(
    hosts: Annotated[
        Path, typer.Option("--hosts", help="Manifest (CSV) of CT without infection; no labels.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for scans, masks and manifests.")],
    scans: Annotated[int, typer.Option("--scans", min=1, help="Scans in all.")] = 100,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Same seed, same scans.")] = 0,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes.")] = 1,
    pictures: Annotated[
        bool, typer.Option("--pictures", help="A PNG of each pattern, host beside painted.")
    ] = False,
) -> None:
    """Paint simulated lesions into real lungs, with the truth of each voxel; goes on if stopped.

    A tool for training and demonstration, no claim about disease.
    """
    from dicomnode.weights.simulate import simulate

    with bars(*DESCRIBED, MofNCompleteColumn(), TimeRemainingColumn()) as progress:
        bar = progress.add_task("simulating", total=scans)
        simulate(hosts, out, scans, seed, workers, lambda done: progress.advance(bar, done))
    if pictures:
        from dicomnode.weights.simulate_pictures import write_pictures

        write_pictures(hosts, out / "pictures", seed)
