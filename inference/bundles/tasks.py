"""The tasks that a bundle can be made for: network, input settings and class names of each.

Networks are named by their place and imported at need: to read a card takes no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from inference.findings import IntendedUse

if TYPE_CHECKING:
    from torch import Tensor, nn

    from inference.backends.choice import Backend
    from inference.backends.device import Device
    from inference.backends.precision import AskedPrecision
    from inference.memory import Memory


class InputSettings(Protocol):
    """What a card says about the network's input: a frozen dataclass with defaults."""

    def problems(self) -> tuple[str, ...]:
        """What makes these values unusable; empty when nothing does."""
        ...


@dataclass(frozen=True)
class EngineOptions:
    """How a method computes here; `use_here`: what the site declares to use it for. `memory`: what
    it computes of single slices is kept there. `unproven`: whether bfloat16 needs no proof, as one
    is being made. `at_once`: so many series may be analysed, each in a thread of its own."""

    device: Device = "auto"
    threads: int | None = None
    backend: Backend = "auto"
    use_here: IntendedUse = IntendedUse.NONE
    memory: Memory | None = None
    precision: AskedPrecision = "auto"
    unproven: bool = False
    at_once: int = 1


LUNGS = "lungs"
"""The task of finding the lungs, which every method is given: no method itself."""
LUNG_CLASSES = (("background", "lung"), ("background", "right lung", "left lung"))
"""What a network for lungs may tell apart: the classes by name and order."""
IRRELEVANT = "irrelevant to infection"
"""The class of candidate regions that show no infection (Xu et al. 2020, section 2.5)."""
NO_INFECTION = "no infection found"
"""The outcome of a case in which no region is an infection (Xu et al. 2020, section 2.6.2)."""
WIDEST = 64
"""Width of a network at most: that of Ronneberger et al. 2015 and of He et al. 2015, four times
that of Milletari et al. 2016."""


@dataclass(frozen=True)
class Task:
    """`network`: builds the module for a number of classes; `settings`: type of its input settings.

    Both as `module:name`, as are `engine`, which makes the method of a bundle and `EngineOptions`
    (empty for what is no method), `plan`, which makes the plan of a training of `Options` (empty
    for what is not trained here), and `usual_classes`, the classes of the task's paper.

    `class_names`: allowed lists of classes; empty when any two or more different names will do.
    `last_class`: the name that the last one must bear, which is nobody's finding; `none`: what a
    case is then called that has none of the others. `width_from`: the arguments of `network` that
    are widths, each with the parameter, one number for each channel, whose length it is; empty
    where all networks of the task are equally wide. `logits`: the layer that gives those that are
    calibrated. `tolerated_change`: what another precision may change at most, where the card does
    not say, of any score of a scan; of lungs, 1 less the Dice of both masks.
    """

    name: str
    network: str
    settings: str
    engine: str = ""
    plan: str = ""
    usual_classes: str = ""
    class_names: tuple[tuple[str, ...], ...] = ()
    last_class: str | None = None
    none: str = ""
    logits: str = ""
    tolerated_change: float = 0.01
    width_from: Mapping[str, str] = field(default_factory=dict)

    def build(self, classes: int, weights: Mapping[str, Tensor] | None = None) -> nn.Module:
        """The network, its parameters as torch draws them; as wide as these `weights` are.

        Weights that tell no width get the network of the usual one, which they then do not fit.
        """
        parameters = {name: (weights or {}).get(place) for name, place in self.width_from.items()}
        widths = {
            name: len(each)
            for name, each in parameters.items()
            if each is not None and each.ndim == 1 and 1 <= len(each) <= WIDEST
        }
        return cast("nn.Module", _named(self.network)(classes, **widths))

    def engine_of(self) -> Any:
        """What makes a method of a `Bundle` of this task and `EngineOptions`."""
        return _named(self.engine)

    def settings_type(self) -> type[InputSettings]:
        """The dataclass of the card's `[preprocessing]`."""
        return cast("type[InputSettings]", _named(self.settings))

    def training_plan(self, options: Any) -> Any:
        """The plan of a training by these options, see `inference.training.plan`."""
        return _named(self.plan)(options)

    def classes(self) -> tuple[str, ...]:
        """The classes of the task's paper; none where there are no such."""
        return cast("tuple[str, ...]", _named(self.usual_classes)) if self.usual_classes else ()

    def cases(self, classes: Sequence[str]) -> tuple[str, ...]:
        """What a whole scan is told into, of these classes of a card."""
        return (*classes[:-1], self.none) if self.last_class else tuple(classes)

    def reported(self, classes: Sequence[str]) -> tuple[str, ...]:
        """The classes of which results speak, by name."""
        if not self.engine:
            return ()
        return tuple(classes[:-1] if self.last_class else classes)

    def class_problems(self, classes: Sequence[str]) -> tuple[str, ...]:
        """What is wrong with the classes of a card; empty when nothing is."""
        if not 2 <= len(set(classes)) == len(classes):
            return ("classes are not two or more different names",)
        if self.class_names and tuple(classes) not in self.class_names:
            allowed = " or ".join(str(list(names)) for names in self.class_names)
            return (f"classes {list(classes)} are not {allowed}",)
        if self.last_class is not None and classes[-1] != self.last_class:
            return (f"the last of classes {list(classes)} is not {self.last_class!r}",)
        return ()


def _named(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


TASKS = {
    task.name: task
    for task in (
        Task(
            "covnet",
            "inference.covnet.network:Covnet",
            "inference.covnet.preprocess:Preprocessing",
            "inference.covnet.engine:load",
            "inference.training.covnet.plan:covnet_plan",
            "inference.covnet.network:CLASSES",
            logits="fc",
        ),
        Task(
            LUNGS,
            "inference.networks.unet:Unet",
            "inference.lungs.lung_input:LungInput",
            plan="inference.training.lungs.plan:lungs_plan",
            class_names=LUNG_CLASSES,
            width_from={"width": "down.0.1.weight"},
            tolerated_change=0.0001,  # by emulation, 0.0003 moved a score of the methods by 0.014
        ),
        Task(
            "regions",
            "inference.location_attention.network:location_attention_network",
            "inference.location_attention.preprocess:RegionPreprocessing",
            "inference.location_attention.engine:load",
            "inference.training.regions.plan:regions_plan",
            "inference.location_attention.network:CLASSES",
            last_class=IRRELEVANT,
            none=NO_INFECTION,
            logits="classifier.fc3",
            width_from={
                "width": "segmenter.vnet.left1.activation.weight",
                "patch_width": "classifier.resnet.bn1.weight",
            },
        ),
    )
}
