"""How location attention is trained: every number in one place, written into the run."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

from inference.location_attention.network import CLASSES
from inference.location_attention.preprocess import RegionPreprocessing
from inference.training.augment import Augmentation
from inference.training.plan import Options, parse_stages, with_values
from inference.training.task import Stage

SEGMENTER, CLASSIFIER = "segmenter", "classifier"
"""Names of the stages, and of the parts of the network that they train."""


@dataclass(frozen=True)
class RegionSettings:
    """Settings of a run of the task `regions`."""

    seed: int = 0
    segmenter_steps: int = 6000
    segmenter_rate: float = 5e-4
    classifier_steps: int = 4000
    classifier_rate: float = 1e-3
    warm_up: int = 200
    """Steps over which the learning rate of a stage rises."""
    width: int = 16
    """Channels of the V-Net's first stage."""
    patch_width: int = 64
    """Channels of the ResNet-18's first stage."""
    pieces: int = 2
    """Pieces of the V-Net's grid a step."""
    piece_slices: int = 32
    piece_pixels: int = 96
    """Cells of a piece along each axis, multiples of 16: 96 x 192 x 192 mm by the usual grid."""
    about_lesion: float = 0.5
    """Part of the pieces that are drawn about a lesion."""
    patches: int = 64
    """Patches a step."""
    infections_times: float = 3.0
    """How much oftener a patch of a pneumonia is drawn than one of none (Xu et al. 2020, 2.4)."""
    init: str = ""
    """SHA-256 of the weights started from; "" for weights drawn from the seed."""
    lungs: str = "classical"
    """How the lungs are found."""
    classes: tuple[str, ...] = CLASSES
    preprocessing: RegionPreprocessing = field(default_factory=RegionPreprocessing)
    augmentation: Augmentation = field(
        default_factory=lambda: Augmentation(scale=0.15, shift=0.08, noise=0.02)
    )
    """Of the patches."""

    @property
    def irrelevant(self) -> int:
        """Index of the class that is no infection."""
        return len(self.classes) - 1

    @property
    def piece(self) -> tuple[int, int, int]:
        """Cells of a piece of the grid."""
        return self.piece_slices, self.piece_pixels, self.piece_pixels

    @property
    def schedule(self) -> tuple[Stage, Stage]:
        """The stages as the loop takes them."""
        return (
            Stage(SEGMENTER, self.segmenter_steps, self.segmenter_rate, self.warm_up),
            Stage(CLASSIFIER, self.classifier_steps, self.classifier_rate, self.warm_up),
        )


def region_settings(options: Options, init_digest: str = "") -> RegionSettings:
    """`options.size` is that of the patches.

    Raises:
        ValueError: an option is wrong; says what is.
    """
    inputs = {each.name for each in fields(RegionPreprocessing)}
    of_input = [pair for pair in options.settings if pair[0] in inputs]
    preprocessing = with_values(RegionPreprocessing(), of_input)
    if options.size is not None:
        preprocessing = replace(preprocessing, patch_size=options.size)
    made = RegionSettings(
        seed=options.seed,
        init=init_digest,
        lungs=options.lungs_from,
        preprocessing=preprocessing,
    )
    others = [pair for pair in options.settings if pair[0] not in inputs]
    chosen = with_values(made, [*_steps(options.stages), *others])
    problems = [*preprocessing.problems(), *_piece_problems(chosen)]
    if problems:
        raise ValueError("; ".join(problems))
    return chosen


def _steps(stages: str | None) -> list[tuple[str, str]]:
    parsed = parse_stages(stages) if stages else ()
    unknown = [name for name, _ in parsed if name not in {SEGMENTER, CLASSIFIER}]
    if unknown:
        raise ValueError(f"stages {unknown} are neither {SEGMENTER!r} nor {CLASSIFIER!r}")
    return [(f"{name}_steps", str(steps)) for name, steps in parsed]


def _piece_problems(settings: RegionSettings) -> list[str]:
    return [
        f"{name} {cells} is not a multiple of 16"
        for name, cells in (
            ("piece_slices", settings.piece_slices),
            ("piece_pixels", settings.piece_pixels),
        )
        if cells < 16 or cells % 16
    ]
