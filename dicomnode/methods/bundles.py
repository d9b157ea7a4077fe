"""The configured model bundles, checked, and the engines that the workers load them into."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dicomnode.config import Settings
from dicomnode.errors import ConfigurationError
from inference.bundles.bundle import Bundle, load_bundle, load_card
from inference.bundles.tasks import LUNGS, TASKS, EngineOptions
from inference.errors import BundleError
from inference.findings import IntendedUse, ModelIdentity, Training

if TYPE_CHECKING:
    from inference.findings import Method
    from inference.lungs.finder import LungFinder


@dataclass(frozen=True, eq=False)
class Engines:
    """What a series is analysed with: who finds the lungs, and the methods in their order."""

    lungs: LungFinder
    methods: tuple[Method, ...]

    @property
    def identities(self) -> tuple[ModelIdentity, ...]:
        """The models of the methods."""
        return tuple(each.identity for each in self.methods)


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
    if problems := bundle.card.code_problems:
        raise BundleError(folder.name, problems)
    return bundle


def load_engines(settings: Settings) -> Engines:
    """All that a series is analysed with, ready.

    Raises:
        BundleError, DeviceError: as `load_method` and `load_lung_finder`.
    """
    tasks = [task for task in settings.bundle_folders if task != LUNGS]
    return Engines(load_lung_finder(settings), tuple(load_method(settings, task) for task in tasks))


def load_method(settings: Settings, task: str) -> Method:
    """The method of the bundle configured for a task.

    Raises:
        BundleError: the bundle is not whole, or not for this task.
        DeviceError: the configured device or engine is not there.
    """
    inference = settings.inference
    options = EngineOptions(
        inference.device,
        inference.threads or None,
        inference.engine,
        IntendedUse(inference.intended_use_here),
    )
    return TASKS[task].method(load_for(settings.bundle_folders[task], task), options)


def load_lung_finder(settings: Settings) -> LungFinder:
    """The configured network for lungs; the classical method where none is configured.

    Raises:
        BundleError, DeviceError: as `load_method`.
    """
    from inference.lungs.finder import LungFinder
    from inference.lungs.network import LungNetwork

    folder = settings.bundle_folders.get(LUNGS)
    if folder is None:
        return LungFinder()
    inference = settings.inference
    use_here = IntendedUse(inference.intended_use_here)
    return LungFinder(LungNetwork.load(load_for(folder, LUNGS), inference.device, use_here))
