"""How COVNet is trained: every number in one place, written into the run."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import log

from inference.preprocess import Preprocessing
from inference.training.augment import Augmentation
from inference.training.plan import Options, parse_stages, with_values
from inference.training.task import Stage

STAGES = "128:2000,224:1500"
"""Edge of the images of each stage, and its steps: most is learned where a step is cheap."""

MAP_STRIDE = 8
"""Pixels of the largest images for one cell of the kept lesion maps."""


@dataclass(frozen=True)
class CovnetSettings:
    """Li et al. 2020 name the network, the loss and Adam; the rest is ours."""

    seed: int = 0
    stages: tuple[tuple[int, int], ...] = ((128, 2000), (224, 1500))
    """Edge of the images in pixels, and steps."""
    learning_rate: float = 1e-4
    """Of the first stage; each later one has half of the one before."""
    head_rate: float = 0.1
    """Factor of the learning rate for the last layer: its 2048 inputs rise and fall together, so
    that a step of all its weights is a leap of the logits."""
    warm_up: float = 0.05
    """Part of a stage over which the learning rate rises."""
    slices_per_step: int = 48
    fewest_slices: int = 4
    """Of one scan in one step."""
    most_slices: int = 48
    slice_weight: float = 0.5
    """Of the loss of single slices, where it is known which of them show lesions."""
    map_weight: float = 0.5
    """Of the loss of single cells of the class activation maps, likewise."""
    label_smoothing: float = 0.0
    freeze_norms_after: float = 1 / 3
    """Part of a stage after which BatchNorm keeps its statistics."""
    validation_slices: int = 96
    """Of one scan at most, spread over it."""
    init: str = ""
    """SHA-256 of the weights started from; "" for weights drawn from the seed."""
    lungs: str = "classical"
    """How the lungs are found."""
    given_lungs: float = 0.5
    """Part of the scans that keep the lungs the manifest gives, where it does: the classical method
    leaves consolidation at the pleura out, a network takes it in; both are met in use."""
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    """With the edge of the last stage."""
    augmentation: Augmentation = field(default_factory=Augmentation)

    @property
    def cells(self) -> int:
        """Edge of the kept lesion maps: a quarter of what the network's last maps see apart."""
        return max(size for size, _ in self.stages) // MAP_STRIDE

    @property
    def usual_bags(self) -> float:
        """Bags of a step, by the mean of a log-uniform number of slices."""
        few, most = self.fewest_slices, self.most_slices
        mean = (most - few) / log(most / few) if most > few else most
        return max(1.0, self.slices_per_step / mean)

    @property
    def schedule(self) -> tuple[Stage, ...]:
        """The stages as the loop takes them."""
        return tuple(
            Stage(str(size), steps, self.learning_rate / 2**number, round(self.warm_up * steps))
            for number, (size, steps) in enumerate(self.stages)
        )


def covnet_settings(options: Options, init_digest: str = "") -> CovnetSettings:
    """Raises ValueError with what is wrong with the options."""
    asked = options.stages or (STAGES if options.size is None else f"{options.size}:2000")
    stages = tuple((_edge(name), steps) for name, steps in parse_stages(asked))
    size = options.size or stages[-1][0]
    if stages[-1][0] != size:
        raise ValueError(f"the last stage has size {stages[-1][0]}, not {size}")
    made = CovnetSettings(
        seed=options.seed,
        stages=stages,
        init=init_digest,
        lungs=options.lungs_from,
        preprocessing=Preprocessing(size=size),
    )
    return with_values(made, options.settings)


def _edge(name: str) -> int:
    size = int(name) if name.isdecimal() else 0
    if problems := Preprocessing(size=size).problems():
        raise ValueError(f"stage {name!r}: {problems[0]}")
    return size
