"""The configured model bundles, checked, and the engines that the workers load them into."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dicomnode.config.settings import Settings
from dicomnode.errors import ConfigurationError
from inference.backends.precision import EngineName, likely_engine
from inference.bundles.bundle import Bundle, load_bundle, load_card
from inference.bundles.tasks import LUNGS, TASKS, EngineOptions
from inference.errors import BundleError
from inference.findings import IntendedUse, ModelIdentity, Training
from inference.memory import Memory

if TYPE_CHECKING:
    from inference.bundles.card import Card
    from inference.findings import FindingClass, Method
    from inference.lungs.finder import LungFinder


@dataclass(frozen=True, eq=False)
class Engines:
    """What a series is analysed with: who finds the lungs, and the methods in their order.

    `digest`: `models_digest` of what was loaded; the folders may hold others since. `memory`: what
    all of them keep of a series that still comes. `names`: `model_names` of what was loaded.

    Raises:
        ValueError: two methods have the same key, by which results tell them apart.
    """

    lungs: LungFinder
    methods: tuple[Method, ...]
    digest: str
    memory: Memory = field(default_factory=Memory)
    names: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        keys = [each.title.key for each in self.methods]
        if len(set(keys)) < len(keys):
            raise ValueError(f"two methods have the same key: {', '.join(keys)}")

    @property
    def identities(self) -> tuple[ModelIdentity, ...]:
        """The models of the methods."""
        return tuple(each.identity for each in self.methods)

    @property
    def models(self) -> tuple[ModelIdentity, ...]:
        """The same, then that for the lungs if it is a network."""
        network = getattr(self.lungs, "network", None)
        return (*self.identities, *([] if network is None else [network.identity]))


def load_bundles(settings: Settings) -> dict[str, Bundle]:
    """Check every configured bundle, by task: the methods in their order, then the lungs.

    Raises:
        BundleError: one is not whole, its card does not fit its weights, it is configured for a
            task it is not made for, a second one of its task, or its scores would bear the codes
            of another's; says what.
    """
    found: dict[str, Bundle] = {}
    for task, folder in settings.inference.bundles:
        bundle = load_for(folder, task)
        if bundle.card.task in found:
            other = found[bundle.card.task].folder.name
            problem = f"is for the task {bundle.card.task!r}, as {other} is: one of them is enough"
            raise BundleError(folder.name, (problem,))
        found[bundle.card.task] = bundle
    _check_shorts(found.values())
    return found


def _check_shorts(bundles: Iterable[Bundle]) -> None:
    """That none stands for two classes: the codes of scores are made of it, in one report."""
    known: dict[str, FindingClass] = {}
    for bundle in bundles:
        for each in bundle.card.finding_classes:
            other = known.setdefault(each.short, each)
            if (other.scheme, other.value) != (each.scheme, each.value):
                problem = f"short {each.short!r} of {each.name!r} is that of {other.name!r}, too"
                raise BundleError(bundle.folder.name, (problem,))


def check_permitted(cards: Iterable[Card], settings: Settings) -> None:
    """That the site allows weights that were not trained on patients, where there are such.

    Raises:
        ConfigurationError: names each of them, and the key that would allow them.
    """
    meaningless = [card for card in cards if card.training is not Training.PATIENTS]
    if meaningless and not settings.inference.allow_demonstration_model:
        named = ", ".join(f"{c.name} {c.version} ({c.task}, {c.training})" for c in meaningless)
        raise ConfigurationError(
            f"{named}: not trained on patients' labels, so its results have no clinical meaning; "
            "name bundles of your own in inference.methods (lungs: inference.lungs_bundle), "
            "or set inference.allow_demonstration_model = true"
        )


def models_digest(settings: Settings) -> str:
    """SHA-256 of all models that a result depends on and the use declared for them; no torch.

    Raises:
        BundleError: a card cannot be read.
    """
    return _digest((load_card(folder) for _, folder in settings.inference.bundles), settings)


def model_names(settings: Settings) -> dict[str, str]:
    """Each model that a result depends on, by its task, with what tells it from others: not the
    precision, in which machines differ; no torch.

    Raises:
        BundleError: a card cannot be read.
    """
    return _names(load_card(folder) for _, folder in settings.inference.bundles)


def _names(cards: Iterable[Card]) -> dict[str, str]:
    return {card.task: f"{card.name} {card.version} {card.digest[:16]}" for card in cards}


def _digest(cards: Iterable[Card], settings: Settings) -> str:
    parts = [f"{card.task} {card.digest}{_precision(card, settings)}" for card in cards]
    text = "\n".join([*parts, settings.inference.intended_use_here])
    return hashlib.sha256(text.encode()).hexdigest()


def _precision(card: Card, settings: Settings) -> str:
    """Where it is not what every machine computes in."""
    unused = settings.inference.precision == "f32" or _bf16_lacks(card, settings)[1]
    return "" if unused else " bf16"


def _bf16_lacks(card: Card, settings: Settings) -> tuple[EngineName, tuple[str, ...]]:
    """The engine of a bundle here and what it lacks for bfloat16, as can be told without torch."""
    how = _options(settings)
    engine = likely_engine(how.device, how.backend)
    return engine, card.wish(how).missing(engine, at_sight=True)


def precision_here(card: Card, settings: Settings) -> str:
    """What a bundle will be computed in here, on which engine and why: as can be told without
    torch."""
    asked = settings.inference.precision
    engine, missing = _bf16_lacks(card, settings)
    if asked == "f32":
        return f"f32 on {engine}"
    if asked == "auto" and engine == "cuda" and card.task != LUNGS:
        return "f16 on cuda"
    if not missing:
        return f"bf16 on {engine}"
    return f"{'f32' if asked == 'auto' else 'not'} on {engine}; bf16: {'; '.join(missing)}"


def precision_problems(cards: Iterable[Card], settings: Settings) -> tuple[str, ...]:
    """What hinders bfloat16 where it is asked for, a sentence for each card."""
    if settings.inference.precision != "bf16":
        return ()
    lacks = [(card, _bf16_lacks(card, settings)[1]) for card in cards]
    return tuple(f"bf16: {c.name} {c.version}: {'; '.join(some)}" for c, some in lacks if some)


def load_for(folder: Path, task: str) -> Bundle:
    """The bundle in a folder, if it is for this task, "" for any method, and has codes.

    Raises:
        BundleError: it is not.
    """
    bundle = load_bundle(folder)
    its = bundle.card.task
    if its != task and (task or not TASKS[its].engine):
        wanted = f"but configured for {task!r}" if task else "which is no method"
        raise BundleError(folder.name, (f"is for the task {its!r}, {wanted}",))
    if problems := bundle.card.code_problems:
        raise BundleError(folder.name, problems)
    return bundle


def load_engines(settings: Settings) -> Engines:
    """All that a series is analysed with, ready; compiled at once, as each takes one core.

    Raises:
        BundleError, DeviceError: as `load_method` and `load_lung_finder`.
    """
    bundles, memory = load_bundles(settings), Memory()
    cards = [each.card for each in bundles.values()]
    digest, names = _digest(cards, settings), _names(cards)
    lungs = bundles.pop(LUNGS, None)
    with ThreadPoolExecutor(thread_name_prefix="load") as pool:
        finder = pool.submit(_lung_finder, lungs, settings, memory)
        methods = pool.map(lambda each: load_method(each, settings, memory), bundles.values())
        return Engines(finder.result(), tuple(methods), digest, memory, names)


def load_method(
    bundle: Bundle, settings: Settings, memory: Memory | None = None, unproven: bool = False
) -> Method:
    """The method of a bundle, as the site computes.

    `unproven`: whether bfloat16 needs no proof.

    Raises:
        BundleError: the bundle does not fit its task.
        DeviceError: the configured device or engine is not there.
    """
    return bundle.method(_options(settings, memory, unproven))


def _options(
    settings: Settings, memory: Memory | None = None, unproven: bool = False
) -> EngineOptions:
    inference = settings.inference
    return EngineOptions(
        inference.device,
        inference.threads or None,
        inference.engine,
        IntendedUse(inference.intended_use_here),
        memory,
        inference.precision,
        unproven,
        inference.at_once,
    )


def load_lung_finder(settings: Settings, unproven: bool = False) -> LungFinder:
    """The configured network for lungs; the classical method where none is configured.

    Raises:
        BundleError, DeviceError: as `load_method`.
    """
    folder = dict(settings.inference.bundles).get(LUNGS)
    bundle = None if folder is None else load_for(folder, LUNGS)
    return _lung_finder(bundle, settings, unproven=unproven)


def _lung_finder(
    bundle: Bundle | None,
    settings: Settings,
    memory: Memory | None = None,
    unproven: bool = False,
) -> LungFinder:
    from inference.lungs.finder import LungFinder
    from inference.lungs.network import LungNetwork

    if bundle is None:
        return LungFinder()
    how = _options(settings, memory, unproven)
    network = LungNetwork.load(
        bundle,
        how.device,
        how.threads,
        backend=how.backend,
        use_here=how.use_here,
        memory=how.memory,
        wish=bundle.card.wish(how),
        at_once=how.at_once,
    )
    return LungFinder(network)
