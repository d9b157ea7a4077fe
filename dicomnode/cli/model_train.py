"""`dicomnode model train`: the command line of a training."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dicomnode.cli.grammar import ExitStatus
from dicomnode.cli.model import model_app
from dicomnode.errors import ConfigurationError
from dicomnode.lifecycle import block_stop_signals, stop_on_request
from dicomnode.logs import set_up_logging


class DeviceName(StrEnum):
    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


@model_app.command("train")
def model_train(
    task: Annotated[str, typer.Option(help="What the network is to do: covnet, regions, lungs.")],
    manifest: Annotated[Path, typer.Option(help="CSV file that names the labelled scans.")],
    out: Annotated[Path, typer.Option(help="Folder of the run; the same run goes on there.")],
    init: Annotated[Path | None, typer.Option(help="Weights to start from (safetensors).")] = None,
    lungs: Annotated[
        Path | None, typer.Option(help="Bundle that finds the lungs in use (default: no network).")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the split and of every chance.")] = 0,
    size: Annotated[int | None, typer.Option(help="Edge of the images in use, in pixels.")] = None,
    stages: Annotated[
        str | None,
        typer.Option(
            help="Stages and steps; covnet: 128x1:1200,224x24:500 (pixels x slices a scan)."
        ),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.0, help="Stop after so long; the command goes on.")
    ] = None,
    device: Annotated[DeviceName, typer.Option(help="Where to compute.")] = DeviceName.AUTO,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting of the task; repeatable."),
    ] = None,
    loop: Annotated[
        list[str] | None,
        typer.Option("--loop", metavar="NAME=VALUE", help="A setting of the loop; repeatable."),
    ] = None,
) -> None:
    """Train a network on labelled scans; a stopped or killed run goes on where it was.

    Exit status 0 when all stages are done, 3 when it was stopped before.
    """
    block_stop_signals()
    set_up_logging("train")
    stop = stop_on_request()
    from dicomnode.weights.train import TrainRequest, train
    from dicomnode.weights.train_view import TrainView
    from inference.training.loop import End

    request = TrainRequest(
        task=task,
        manifest=manifest,
        out=out,
        seed=seed,
        init=init,
        lungs=lungs,
        size=size,
        stages=stages,
        minutes=minutes,
        device=device.value,
        settings=_pairs(set_),
        loop=_pairs(loop),
    )
    end = train(request, TrainView(Console(file=sys.stderr)), stop.is_set)
    raise SystemExit(0 if end is End.FINISHED else ExitStatus.UNFINISHED)


def _pairs(given: list[str] | None) -> tuple[tuple[str, str], ...]:
    pairs = []
    for each in given or []:
        name, equals, value = each.partition("=")
        if not equals:
            raise ConfigurationError(f"{each!r} is not NAME=VALUE")
        pairs.append((name.strip(), value.strip()))
    return tuple(pairs)
