"""`dicomnode model package`: the command line of a training's last step."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dicomnode.cli.common import JsonOption, console, print_json
from dicomnode.cli.model import model_app


class Use(StrEnum):
    NONE = "none"
    DEMONSTRATION = "demonstration"
    RESEARCH = "research"
    CLINICAL = "clinical"


@model_app.command("package")
def model_package(
    run: Annotated[Path, typer.Option(help="Folder of the training's run.")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle, to be made.")],
    name: Annotated[str, typer.Option(help="Name of the model, as results will bear it.")],
    version: Annotated[str, typer.Option(help="Its version.")],
    licence: Annotated[str, typer.Option(help="Licence of the weights.")],
    evaluation: Annotated[
        Path | None, typer.Option(help="Folder of an evaluation of the same weights.")
    ] = None,
    use: Annotated[Use, typer.Option(help="What the bundle is meant for.")] = Use.NONE,
    intended_use: Annotated[str, typer.Option(help="The same in a sentence, with limits.")] = "",
    notes: Annotated[str, typer.Option(help="More about the training data.")] = "",
    half: Annotated[bool, typer.Option("--half", help="Keep weights in half precision.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a bundle of a run's best weights; the card is filled from the run and the evaluation.

    To have figures in the card: package, evaluate that bundle, package again with --evaluation.
    An evaluation on patients that were learned from is refused.
    """
    from dicomnode.cli.common import offline_settings
    from dicomnode.cli.views import model_view
    from dicomnode.cli.views.progress import at_work
    from inference.bundles.packaging import Label, package
    from inference.findings import IntendedUse

    label = Label(name, version, licence, IntendedUse(use), intended_use, notes)
    with at_work("packaging"):
        folder = package(run, out, label, evaluation, half=half)
    settings = offline_settings(None)
    state = model_view.look_at(model_view.find(settings, str(folder)), settings, True)
    if as_json:
        print_json(state.as_json())
    else:
        model_view.print_card(console(), state)
    raise SystemExit(1 if state.problems else 0)
