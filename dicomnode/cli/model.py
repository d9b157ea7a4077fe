"""`dicomnode model`: the bundles of weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from dicomnode.cli.common import ConfigOption, JsonOption, console, offline_settings, print_json

if TYPE_CHECKING:
    from dicomnode.cli.views.model_view import BundleState

model_app = typer.Typer(
    help="Model bundles: what they are, and whether they can be used.", no_args_is_help=True
)

BundleArgument = Annotated[
    str, typer.Argument(help="A task (covnet, lungs, regions), a bundle's folder or its name.")
]


@model_app.command("list")
def model_list(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """All bundles that are configured or lie in the node's folder of models, by their cards."""
    from dicomnode.cli.views import model_view

    settings = offline_settings(config)
    states = [model_view.look_at(each, settings, False) for each in model_view.places(settings)]
    _print_states(states, as_json, checked=False)


@model_app.command("check")
def model_check(
    bundle: BundleArgument = "", config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Verify weights against cards, all bundles or one; exit status 1 when any cannot be used."""
    from dicomnode.cli.views import model_view
    from dicomnode.cli.views.progress import at_work

    settings = offline_settings(config)
    chosen = [model_view.find(settings, bundle)] if bundle else model_view.places(settings)
    with at_work("checking weights"):
        states = [model_view.look_at(place, settings, True) for place in chosen]
    _print_states(states, as_json, checked=True)
    raise SystemExit(1 if any(state.problems for state in states) else 0)


def _print_states(states: Sequence[BundleState], as_json: bool, checked: bool) -> None:
    from dicomnode.cli.views.model_view import print_states

    if as_json:
        print_json([state.as_json() for state in states])
    else:
        print_states(console(), states, checked)


@model_app.command("show")
def model_show(
    bundle: BundleArgument = "covnet", config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """All that a bundle's card says: use, training data, metrics, input, licence."""
    from dicomnode.cli.views import model_view

    settings = offline_settings(config)
    state = model_view.look_at(model_view.find(settings, bundle), settings, False)
    if as_json:
        print_json(state.as_json())
    else:
        model_view.print_card(console(), state)
