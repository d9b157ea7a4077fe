"""A bundle out of a training's run: the best weights, and a card that says where they come from.

What the card must not leave to a person is taken from the files: classes, input settings, on whom
it was trained, whether on simulated lesions, and the figures of the evaluation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference.bundles.bundle import weights_problems, widened
from inference.bundles.bundle_writer import WEIGHTS, digest_of, put_bundle
from inference.bundles.card import Card, Metric
from inference.bundles.class_codes import known_classes
from inference.bundles.tasks import TASKS, InputSettings
from inference.errors import InferenceError
from inference.findings import IntendedUse, Training

if TYPE_CHECKING:
    from torch import Tensor

RUN, BEST, BEST_CARD = "run.json", "best.safetensors", "best.json"
EVALUATION = "evaluation.json"
_LAST_LAYERS = {"covnet": "fc", "regions": "classifier.fc3"}
"""The layer that gives the logits which are calibrated, by task."""
_LEARNING = ("training", "validation")
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


@dataclass(frozen=True, eq=False)
class Trained:
    """A run as its folder has it: `record` of run.json, `best` of best.json, the weights."""

    record: Mapping[str, Any]
    best: Mapping[str, Any]
    weights: Mapping[str, Tensor]

    @property
    def simulated(self) -> bool:
        """Whether it learned from lesions that the simulator painted."""
        return bool(self.record["simulated"])

    @property
    def patients(self) -> Mapping[str, Mapping[str, Sequence[str]]]:
        """Scans by patient by split."""
        found: Mapping[str, Mapping[str, Sequence[str]]] = self.record["patients"]
        return found

    @property
    def learned_from(self) -> frozenset[str]:
        """The patients whose scans the weights, or the choice between them, depend on."""
        return frozenset(patient for split in _LEARNING for patient in self.patients[split])


def package(
    run: Path, out: Path, label: Label, evaluation: Path | None = None, *, half: bool = False
) -> Path:
    """Make the bundle in `out`, a folder that does not exist yet; returns `out`.

    `evaluation`: folder of an evaluation of the same weights (package, evaluate, package again:
    figures do not change the weights' digest); `half`: keep the weights in half precision. Raises
    PackagingError when the files are not those of a run, when the evaluation is of other weights,
    or was made on patients that were learned from, all of them named; BundleError when `out` holds
    something.
    """
    trained = read_run(run)
    weights = final_weights(trained, half)
    judged = None if evaluation is None else _read_json(evaluation / EVALUATION)
    card = card_of(trained, label, () if judged is None else _figures(judged))
    wide = {name: widened(weight) for name, weight in weights.items()}
    problems = list(weights_problems(wide, len(card.classes), card.task))
    problems += [problem for figure in card.metrics for problem in figure.problems()]
    if out.exists():
        problems.append(f"{out} exists already")
    if judged is not None:
        problems += _evaluation_problems(trained, digest_of(weights), judged)
    if problems:
        raise PackagingError(problems)
    put_bundle(out, card, weights)
    return out


def read_run(folder: Path) -> Trained:
    """Raises PackagingError for a folder that is no run, or one without weights yet."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    record, best = _read_json(folder / RUN), _read_json(folder / BEST_CARD)
    if record.get("task") not in TASKS or not {"simulated", "patients"} <= set(record):
        raise PackagingError([f"{folder / RUN} is of no run of this version"])
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
    temperature = float(trained.best.get("temperature", 1.0))
    layer = _LAST_LAYERS.get(trained.record["task"])
    if layer is not None:
        bias = weights[f"{layer}.bias"]
        added = bias.new_tensor(trained.best.get("biases", [0.0] * len(bias)))
        weights[f"{layer}.weight"] = weights[f"{layer}.weight"] / temperature
        weights[f"{layer}.bias"] = bias / temperature + added
    return {name: w.half() if half and w.ndim > 1 else w for name, w in weights.items()}


def card_of(trained: Trained, label: Label, figures: tuple[Metric, ...]) -> Card:
    """The card; weights of simulated lesions are for demonstration, whatever the label says."""
    simulated, task = trained.simulated, trained.record["task"]
    use = min(label.use, IntendedUse.DEMONSTRATION, key=lambda each: each.rank)
    classes = tuple(trained.best["classes"])
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
        preprocessing=_preprocessing(task, trained.best["preprocessing"]),
        use=use if simulated else label.use,
        training_data=" ".join(filter(None, [training_data(trained), label.notes])),
        metrics=figures,
    )


def training_data(trained: Trained) -> str:
    """In words: how many patients and scans, of which kind, how far the training came."""
    counts = [
        f"{len(some)} patients ({sum(map(len, some.values()))} scans) for {split}"
        for split, some in trained.patients.items()
    ]
    painted = " with lesions painted by a simulator" if trained.simulated else ""
    ended = trained.record.get("state") == "finished"
    how_far = "" if ended else " The training was stopped before its end."
    step = f"{trained.best.get('stage')}, step {trained.best.get('step')}"
    return f"Scans{painted}: {', '.join(counts)}. Best weights: stage {step}.{how_far}"


def _preprocessing(task: str, values: Mapping[str, Any]) -> InputSettings:
    kind: Any = TASKS[task].settings_type()
    frozen = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
    settings: InputSettings = kind(**frozen)
    return settings


def _figures(evaluation: Mapping[str, Any]) -> tuple[Metric, ...]:
    try:
        return tuple(Metric(**each) for each in evaluation["figures"])
    except (KeyError, TypeError) as error:
        raise PackagingError([f"{EVALUATION} has no figures of this version: {error}"]) from error


def _evaluation_problems(
    trained: Trained, weights_sha256: str, evaluation: Mapping[str, Any]
) -> list[str]:
    """Why the figures are not those of these weights on patients they do not know."""
    problems = []
    known = sorted(trained.learned_from & set(evaluation["patients"]))
    if known:
        problems.append(f"evaluated on patients that were learned from: {', '.join(known)}")
    of = evaluation["bundle"]["weights_sha256"]
    if weights_sha256 != of:
        told = f"evaluated were the weights {of[:12]}, these are {weights_sha256[:12]}"
        problems.append(f"{told} (packaged with or without half precision?)")
    return problems


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise PackagingError([f"{path} cannot be read: {error}"]) from error
    return found
