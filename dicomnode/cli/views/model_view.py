"""`dicomnode model list | check | show`: which bundles there are, and whether they can be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from dicomnode.cli.views.tables import add_row, new_table, print_table
from dicomnode.config.settings import Settings
from dicomnode.decisions.wording import how_many
from dicomnode.errors import ConfigurationError
from dicomnode.methods.bundles import precision_here
from inference.bundles.bundle import CARD, load_bundle, load_card
from inference.bundles.card import Card
from inference.bundles.tasks import TASKS
from inference.errors import BundleError
from inference.findings import IntendedUse

_ANY = "any method"


@dataclass(frozen=True)
class BundlePlace:
    """A folder with a bundle.

    `configured_for`: the task it is used for here, "" when for none; `beside`: the name of another
    folder that is used for the same, "" when there is none.
    """

    folder: Path
    configured_for: str = ""
    beside: str = ""


@dataclass(frozen=True)
class BundleState:
    """What is there: the card where it can be read, and everything that is wrong.

    `computes`: in which precision and on which engine it would be computed here, and why.
    """

    place: BundlePlace
    card: Card | None
    problems: tuple[str, ...]
    warning: str | None
    computes: str = ""

    def as_json(self) -> dict[str, Any]:
        card = None
        if self.card is not None:
            card = asdict(self.card) | {"digest": self.card.digest}
        return {
            "folder": str(self.place.folder),
            "configured_for": self.place.configured_for,
            "card": card,
            "problems": list(self.problems),
            "warning": self.warning,
            "computes": self.computes,
        }


def places(settings: Settings) -> list[BundlePlace]:
    """The configured bundles first, then the others in the node's folder of models."""
    used: dict[str, str] = {}
    found = []
    for named, folder in settings.inference.bundles:
        task = named or _task(folder)
        found.append(BundlePlace(folder, task, used.get(task, "") if task in TASKS else ""))
        used.setdefault(task, folder.name)
    cards = sorted(settings.models.glob(f"[!.]*/{CARD}"))
    configured = {each.folder for each in found}
    return found + [BundlePlace(p.parent) for p in cards if p.parent not in configured]


def _task(folder: Path) -> str:
    """Of a method that is configured without one, if its bundle can be a method."""
    try:
        task = load_card(folder).task
    except BundleError:
        return _ANY
    return task if TASKS[task].engine else _ANY


def find(settings: Settings, wanted: str) -> BundlePlace:
    """The bundle configured for a task, of that name in the folder of models, or in that folder.

    Raises:
        ConfigurationError: none of them is there.
    """
    known = places(settings)
    for place in known:
        if wanted in {place.configured_for, place.folder.name} or Path(wanted) == place.folder:
            return place
    if (Path(wanted) / CARD).exists():
        return BundlePlace(Path(wanted))
    raise ConfigurationError(f"no bundle {wanted!r}: neither a task, a model's name nor a folder")


def look_at(place: BundlePlace, settings: Settings, weights: bool) -> BundleState:
    """Read the card and, when `weights`, verify them too: digest, parameters, classes."""
    card: Card | None = None
    problems: tuple[str, ...] = ()
    try:
        card = load_card(place.folder)
        if weights:
            load_bundle(place.folder)
    except BundleError as error:
        problems = error.problems
    if card is not None and place.configured_for not in {"", card.task}:
        problems += (f"is for the task {card.task!r}, configured for {place.configured_for!r}",)
    if place.beside:
        problems += (f"{place.beside} is configured for {place.configured_for!r}, too",)
    problems += card.code_problems if card is not None else ()
    use_here = IntendedUse(settings.inference.intended_use_here)
    warning = None if card is None else card.identity_at(use_here).warning
    computes = "" if card is None else precision_here(card, settings)
    return BundleState(place, card, problems, warning, computes)


def print_states(console: Console, states: Sequence[BundleState], checked: bool) -> None:
    """A row for each bundle; `checked`: whether the weights were verified too."""
    headings = ("bundle", "used for", "task", "training, use", "state")
    table = new_table(how_many(len(states), "bundle"), *headings)
    for state in states:
        card = state.card
        add_row(
            table,
            f"{card.name} {card.version}" if card else state.place.folder.name,
            state.place.configured_for or "–",
            card.task if card else "?",
            f"{card.training}, {card.use}" if card else "?",
            _state(state, checked),
            styles=("", "", "", "", "red" if state.problems else ""),
        )
    print_table(console, table)


def _state(state: BundleState, checked: bool) -> str:
    if state.problems:
        return "\n".join(state.problems)
    parts = ["the weights fit the card" if checked else "the card can be read"]
    return "\n".join(parts + ([f"results say: {state.warning}"] if state.warning else []))


def print_card(console: Console, state: BundleState) -> None:
    """All that the card says.

    Raises:
        BundleError: it cannot be read.
    """
    card = state.card
    if card is None:
        raise BundleError(state.place.folder.name, state.problems)
    table = new_table(f"{card.name} {card.version}", "entry", "value")
    values = asdict(card) | {"results say": state.warning or "no warning", "digest": card.digest}
    values |= {"computes": state.computes, "tolerated_change": card.tolerance}
    for key, value in values.items():
        if key not in ("metrics", "precision"):
            add_row(table, key, _text(value))
    print_table(console, table)
    _print_metrics(console, card)
    _print_proofs(console, card)


def _text(value: object) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{key} = {each}" for key, each in value.items())
    return "\n".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _print_metrics(console: Console, card: Card) -> None:
    headings = ("metric", "value", "confidence interval", "cases", "data")
    table = new_table("Metrics" if card.metrics else "No metrics on the card", *headings)
    for metric in card.metrics:
        interval = f"{metric.low:g} to {metric.high:g} ({metric.confidence:.0%})"
        row = (metric.name, f"{metric.value:g}", interval, str(metric.cases), metric.data)
        add_row(table, *row)
    print_table(console, table)


def _print_proofs(console: Console, card: Card) -> None:
    """What bfloat16 changes, where the card says it."""
    if not card.precision:
        return
    headings = ("engine", "change", "scans called otherwise", "heat", "data", "allows bf16")
    table = new_table("bf16 against f32", *headings)
    for proof in card.precision:
        add_row(
            table,
            f"{proof.engine} {proof.version}\n{proof.processor}",
            f"at most {proof.largest_change:.5f}\nmean {proof.mean_change:.5f}",
            f"{proof.classes_changed} of {proof.cases}",
            f"moved by {proof.heat_moved_mm:.1f} mm at most",
            proof.data,
            "\n".join(proof.shortfalls(card.tolerance)) or "yes",
        )
    print_table(console, table)
