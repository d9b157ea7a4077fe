"""The configured model bundles, checked, and the engines that the workers load them into."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from dicomnode.config import Settings
from dicomnode.errors import ConfigurationError
from dicomnode.results.common.codes import has_code
from inference.bundles.bundle import Bundle, load_bundle, load_card
from inference.bundles.card import Card
from inference.bundles.tasks import TASKS
from inference.errors import BundleError
from inference.findings import IntendedUse, ModelIdentity, Training

if TYPE_CHECKING:
    from inference.covnet.engine import Engine
    from inference.location_attention.engine import RegionEngine
    from inference.location_attention.network import LocationAttention
    from inference.lungs.network import LungNetwork


@dataclass(frozen=True, eq=False)
class Engines:
    """What a series is analysed with; `regions`: None where no bundle is configured for it."""

    covnet: Engine
    regions: RegionEngine | None = None

    @property
    def identities(self) -> tuple[ModelIdentity, ...]:
        """The models, that of COVNet first."""
        others = () if self.regions is None else (self.regions.identity,)
        return (self.covnet.identity, *others)


def load_bundles(settings: Settings) -> Mapping[str, Bundle]:
    """Check every configured bundle, by task; `covnet` is always among them.

    Raises:
        BundleError: one is not whole, its card does not fit its weights, or it is configured for a
            task it is not made for; says what.
    """
    return {task: load_for(folder, task) for task, folder in settings.bundle_folders.items()}


def check_permitted(bundles: Mapping[str, Bundle], settings: Settings) -> None:
    """That the site allows weights that were not trained on patients, where there are such.

    Raises:
        ConfigurationError: names each of them, and the key that would allow them.
    """
    cards = [bundle.card for bundle in bundles.values()]
    meaningless = [card for card in cards if card.training is not Training.PATIENTS]
    if meaningless and not settings.inference.allow_demonstration_model:
        named = ", ".join(f"{c.name} {c.version} ({c.task}, {c.training})" for c in meaningless)
        raise ConfigurationError(
            f"{named}: not trained on patients' labels, so its results have no clinical meaning; "
            "name bundles of your own in [inference], or set allow_demonstration_model = true there"
        )


def models_digest(settings: Settings) -> str:
    """SHA-256 of all models that a result depends on and the use declared for them; no torch.

    Raises:
        BundleError: a card cannot be read.
    """
    folders = settings.bundle_folders.items()
    parts = [f"{task} {load_card(folder).digest}" for task, folder in folders]
    text = "\n".join([*parts, settings.inference.intended_use_here])
    return hashlib.sha256(text.encode()).hexdigest()


def load_for(folder: Path, task: str) -> Bundle:
    """The bundle in a folder, if it is for this task and reports can name its classes.

    Raises BundleError otherwise.
    """
    bundle = load_bundle(folder)
    if bundle.card.task != task:
        problem = f"is for the task {bundle.card.task!r}, but configured for {task!r}"
        raise BundleError(folder.name, (problem,))
    if problems := class_problems(bundle.card):
        raise BundleError(folder.name, problems)
    return bundle


def class_problems(card: Card) -> tuple[str, ...]:
    """The classes of a card that no report could name; empty when there are none."""
    reported = {"covnet": card.classes, "regions": card.classes[:-1]}.get(card.task, ())
    unknown = [name for name in reported if not has_code(name)]
    return tuple(f"class {name!r} has no code to report it by" for name in unknown)


def load_engines(settings: Settings) -> Engines:
    """The engines of all configured bundles, ready to analyse.

    Raises:
        BundleError, DeviceError: as `load_engine` and `load_region_engine`.
    """
    return Engines(load_engine(settings), load_region_engine(settings))


def load_region_engine(settings: Settings) -> RegionEngine | None:
    """The engine of location attention; None where no bundle is configured for it.

    Raises:
        BundleError: the bundle is not whole, or not for this task.
        DeviceError: the configured device is not there.
    """
    folder = settings.bundle_folders.get("regions")
    if folder is None:
        return None
    from inference.location_attention.engine import RegionEngine
    from inference.location_attention.preprocess import RegionPreprocessing

    bundle, inference = load_for(folder, "regions"), settings.inference
    return RegionEngine.load(
        _region_network(bundle),
        bundle.card.identity_at(IntendedUse(inference.intended_use_here)),
        bundle.card.classes,
        cast("RegionPreprocessing", bundle.card.preprocessing),  # as the card's task has it
        inference.device,
        inference.threads or None,
        inference.engine,
    )


def _region_network(bundle: Bundle) -> LocationAttention:
    """The network, as wide as its weights, which it takes over without a copy."""
    import torch

    with torch.device("meta"):
        network = TASKS["regions"].build(len(bundle.card.classes), bundle.weights)
    network.load_state_dict(dict(bundle.weights), strict=True, assign=True)
    return cast("LocationAttention", network)


def load_engine(settings: Settings) -> Engine:
    """The engine of COVNet and of the network for lungs, ready to analyse.

    Raises:
        BundleError: a bundle is not whole, or not for its task.
        DeviceError: the configured device or engine is not there.
    """
    from inference.covnet.engine import Engine

    inference = settings.inference
    return Engine.load(
        load_for(settings.bundle_folders["covnet"], "covnet"),
        inference.device,
        inference.threads or None,
        backend=inference.engine,
        use_here=IntendedUse(inference.intended_use_here),
        lungs=load_lung_network(settings),
    )


def load_lung_network(settings: Settings) -> LungNetwork | None:
    """The configured network for lungs; None where the classical method is configured.

    Raises:
        BundleError, DeviceError: as `load_engine`.
    """
    folder = settings.bundle_folders.get("lungs")
    if folder is None:
        return None
    from inference.lungs.network import LungNetwork

    inference = settings.inference
    use_here = IntendedUse(inference.intended_use_here)
    return LungNetwork.load(load_for(folder, "lungs"), inference.device, use_here)
