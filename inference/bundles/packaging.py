"""A bundle out of a training's run: the best weights, and a card that says where they come from.

What the card must not leave to a person is taken from the files: classes, input settings, on whom
it was trained, whether on simulated lesions, and the figures of the evaluation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import AfterValidator

from inference.bundles.bundle import weights_problems, widened
from inference.bundles.bundle_writer import WEIGHTS, digest_of, put_bundle
from inference.bundles.card import Card, Metric, known_task
from inference.bundles.class_codes import known_classes
from inference.bundles.proof import PrecisionProof
from inference.bundles.tasks import TASKS, InputSettings
from inference.entry_errors import read_entries
from inference.errors import InferenceError
from inference.findings import IntendedUse, Training

if TYPE_CHECKING:
    from torch import Tensor

RUN, BEST, BEST_CARD = "run.json", "best.safetensors", "best.json"
EVALUATION = "evaluation.json"
_LEARNING = ("training", "validation")
T = TypeVar("T")
_DEMONSTRATION = "Shows and tests the whole way of a series. No clinical meaning."


class PackagingError(InferenceError):
    """A run cannot become a bundle; `problems` says why, each on its own."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("cannot be packaged: " + "; ".join(self.problems))


@dataclass(frozen=True)
class Label:
    """What a person says of a bundle; `intended_use` in prose, `notes` is put to the data's."""

    name: str
    version: str
    licence: str
    use: IntendedUse = IntendedUse.NONE
    intended_use: str = ""
    notes: str = ""


@dataclass(frozen=True)
class Record:
    """Of run.json. `simulated`: whether it learned from lesions that the simulator painted;
    `patients`: scans by patient by split."""

    task: Annotated[str, AfterValidator(known_task)]
    simulated: bool
    patients: Mapping[str, Mapping[str, tuple[str, ...]]]
    state: str = ""


@dataclass(frozen=True)
class Best:
    """Of best.json: what the best weights are made for, how they are calibrated, where from."""

    classes: tuple[str, ...]
    preprocessing: Mapping[str, Any]
    temperature: float = 1.0
    biases: tuple[float, ...] | None = None
    stage: str | None = None
    step: int | None = None


@dataclass(frozen=True)
class JudgedBundle:
    """The bundle that was evaluated."""

    weights_sha256: str


@dataclass(frozen=True)
class Judged:
    """Of evaluation.json."""

    figures: tuple[Metric, ...]
    patients: tuple[str, ...]
    bundle: JudgedBundle
    precision: tuple[PrecisionProof, ...] = ()


@dataclass(frozen=True, eq=False)
class Trained:
    """A run as its folder has it."""

    record: Record
    best: Best
    weights: Mapping[str, Tensor]

    @property
    def learned_from(self) -> frozenset[str]:
        """The patients whose scans the weights, or the choice between them, depend on."""
        return frozenset(one for split in _LEARNING for one in self.record.patients.get(split, ()))


def package(
    run: Path, out: Path, label: Label, evaluation: Path | None = None, *, half: bool = False
) -> Path:
    """Make the bundle in `out`, a folder that does not exist yet; returns `out`.

    `evaluation`: folder of an evaluation of the same weights (package, evaluate, package again:
    figures do not change the weights' digest); `half`: keep the weights in half precision.

    Raises:
        PackagingError: the files are not those of a run, when the evaluation is of other weights,
            or was made on patients that were learned from, all of them named.
        BundleError: `out` holds something.
    """
    trained = read_run(run)
    weights = final_weights(trained, half)
    judged = None if evaluation is None else _read(Judged, evaluation / EVALUATION)
    card = card_of(trained, label)
    if judged is not None:
        of = judged.bundle.weights_sha256
        proofs = tuple(replace(each, weights_sha256=of) for each in judged.precision)
        card = replace(card, metrics=judged.figures, precision=proofs)
    wide = {name: widened(weight) for name, weight in weights.items()}
    problems = list(weights_problems(wide, len(card.classes), card.task))
    problems += [problem for figure in card.metrics for problem in figure.problems()]
    problems += [problem for proof in card.precision for problem in proof.problems()]
    if out.exists():
        problems.append(f"{out} exists already")
    if judged is not None:
        problems += _evaluation_problems(trained, digest_of(weights), judged)
    if problems:
        raise PackagingError(problems)
    put_bundle(out, card, weights)
    return out


def read_run(folder: Path) -> Trained:
    """
    Raises:
        PackagingError: a folder that is no run, or one without weights yet.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    record, best = _read(Record, folder / RUN), _read(Best, folder / BEST_CARD)
    try:
        weights = load_file(folder / BEST)
    except (OSError, SafetensorError) as error:
        raise PackagingError([f"{folder / BEST} cannot be read: {error}"]) from error
    return Trained(record, best, weights)


def final_weights(trained: Trained, half: bool = False) -> dict[str, Tensor]:
    """The best weights, calibrated: logits over the temperature, plus the biases, of validation.

    Guo et al. 2017 ("On Calibration of Modern Neural Networks", section 4.2): dividing the linear
    layer by the temperature is dividing its logits; Grad-CAM, which is relative and knows no bias,
    stays. With
    `half`, tensors of two or more dimensions are kept in float16; norms and biases, which are few,
    stay as they are.
    """
    weights = dict(trained.weights)
    temperature = trained.best.temperature
    layer = TASKS[trained.record.task].logits
    if layer:
        bias = weights[f"{layer}.bias"]
        added = bias.new_tensor(trained.best.biases or [0.0] * len(bias))
        weights[f"{layer}.weight"] = weights[f"{layer}.weight"] / temperature
        weights[f"{layer}.bias"] = bias / temperature + added
    return {name: w.half() if half and w.ndim > 1 else w for name, w in weights.items()}


def card_of(trained: Trained, label: Label) -> Card:
    """The card; weights of simulated lesions are for demonstration, whatever the label says."""
    simulated, task = trained.record.simulated, trained.record.task
    use = min(label.use, IntendedUse.DEMONSTRATION, key=lambda each: each.rank)
    classes = trained.best.classes
    return Card(
        name=label.name,
        version=label.version,
        task=task,
        classes=classes,
        codes=known_classes(TASKS[task].reported(classes)),
        training=Training.DEMONSTRATION if simulated else Training.PATIENTS,
        intended_use=_DEMONSTRATION if simulated else label.intended_use,
        licence=label.licence,
        weights=WEIGHTS,
        weights_sha256="",
        preprocessing=_preprocessing(task, trained.best.preprocessing),
        use=use if simulated else label.use,
        training_data=" ".join(filter(None, [training_data(trained), label.notes])),
    )


def training_data(trained: Trained) -> str:
    """In words: how many patients and scans, of which kind, how far the training came."""
    counts = [
        f"{len(some)} patients ({sum(map(len, some.values()))} scans) for {split}"
        for split, some in trained.record.patients.items()
    ]
    painted = " with lesions painted by a simulator" if trained.record.simulated else ""
    ended = trained.record.state == "finished"
    how_far = "" if ended else " The training was stopped before its end."
    step = f"{trained.best.stage}, step {trained.best.step}"
    return f"Scans{painted}: {', '.join(counts)}. Best weights: stage {step}.{how_far}"


def _preprocessing(task: str, values: Mapping[str, Any]) -> InputSettings:
    kind: Any = TASKS[task].settings_type()
    frozen = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
    settings: InputSettings = kind(**frozen)
    return settings


def _evaluation_problems(trained: Trained, weights_sha256: str, judged: Judged) -> list[str]:
    """Why the figures are not those of these weights on patients they do not know."""
    problems = []
    known = sorted(trained.learned_from & set(judged.patients))
    if known:
        problems.append(f"evaluated on patients that were learned from: {', '.join(known)}")
    of = judged.bundle.weights_sha256
    if weights_sha256 != of:
        text = f"evaluated were the weights {of[:12]}, these are {weights_sha256[:12]}"
        problems.append(f"{text} (packaged with or without half precision?)")
    return problems


def _read(kind: type[T], path: Path) -> T:
    try:
        found = read_entries(kind, json.loads(path.read_text("utf-8")))
    except (OSError, ValueError) as error:
        raise PackagingError([f"{path} cannot be read: {error}"]) from error
    if isinstance(found, tuple):
        raise PackagingError([f"{path.name}: {each}" for each in found])
    return found
