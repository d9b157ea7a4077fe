"""How the U-net of the task `lungs` is trained: every number in one place, written into the run."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from inference.bundles.tasks import LUNG_CLASSES
from inference.lungs.lung_input import LungInput
from inference.training.augment import Augmentation
from inference.training.plan import Options, parse_stages, with_values
from inference.training.task import Stage

STAGE = "lungs"
"""Name of the only stage."""


@dataclass(frozen=True)
class LungSettings:
    """Settings of a run of the task `lungs`."""

    seed: int = 0
    steps: int = 4000
    learning_rate: float = 1e-3
    warm_up: int = 100
    """Steps over which the learning rate rises."""
    width: int = 16
    """Maps at the U-net's first level; 8 makes 1 MB of weights in half precision."""
    batch: int = 8
    """Slices a step."""
    with_lung: float = 0.75
    """Part of the slices of a batch that hold lung: a scan of the trunk is mostly abdomen."""
    slices: int = 64
    """Kept of a scan at most: neighbours at 1 mm teach little that is new."""
    init: str = ""
    """SHA-256 of the weights started from; "" for weights drawn from the seed."""
    classes: tuple[str, ...] = LUNG_CLASSES[1]
    preprocessing: LungInput = field(default_factory=LungInput)
    augmentation: Augmentation = field(default_factory=lambda: Augmentation(scale=0.2))

    @property
    def stage(self) -> Stage:
        """As the loop takes it."""
        return Stage(STAGE, self.steps, self.learning_rate, self.warm_up)


def lung_settings(options: Options, init_digest: str = "") -> LungSettings:
    """
    Raises:
        ValueError: the options are wrong; says what is.
    """
    inputs = {each.name for each in fields(LungInput)}
    of_input = [pair for pair in options.settings if pair[0] in inputs]
    sized = LungInput() if options.size is None else LungInput(size=options.size)
    preprocessing = with_values(sized, of_input)
    if problems := preprocessing.problems():
        raise ValueError("; ".join(problems))
    made = LungSettings(seed=options.seed, init=init_digest, preprocessing=preprocessing)
    if options.stages is not None:
        made = with_values(made, [("steps", str(_steps(options.stages)))])
    others = [pair for pair in options.settings if pair[0] not in inputs]
    return with_values(made, others)


def _steps(stages: str) -> int:
    parsed = parse_stages(stages)
    if [name for name, _ in parsed] != [STAGE]:
        raise ValueError(f"stages {stages!r}: the task has one, {STAGE!r}")
    return parsed[0][1]
