"""What is to be evaluated, checked as a whole before any scan is analysed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from dicomnode.errors import ManifestError
from dicomnode.weights.evaluation_against import Scores, read_scores
from dicomnode.weights.manifest import Manifest, ManifestRow, read_manifest
from inference.bundles.bundle import load_card
from inference.bundles.card import Card
from inference.bundles.tasks import LUNGS, TASKS
from inference.errors import BundleError, EvaluationError
from inference.training.scan import Split
from inference.training.split import draw_splits

_NEEDED = {"matplotlib": "draws the plots", "scipy": "has the statistics"}


@dataclass(frozen=True)
class EvaluationRequest:
    """`split`: None for all scans; `seed`: of the training, for patients whose split the manifest
    leaves open; `simulated`: None to go by the simulator's mark beside the manifest; `against`:
    folder of another evaluation, to be compared with; `prove_bf16`: whether to measure what
    bfloat16 changes."""

    bundle: Path
    manifest: Path
    out: Path
    split: Split | None = Split.TEST
    seed: int = 0
    simulated: bool | None = None
    against: Path | None = None
    prove_bf16: bool = False


@dataclass(frozen=True, eq=False)
class EvaluationPlan:
    """`bundle`: its folder; `rows`: the scans to be evaluated, each with its split; `others`:
    scores of the same classes by scan, of another model."""

    bundle: Path
    card: Card
    manifest: Manifest
    rows: tuple[ManifestRow, ...]
    split: Split | None
    simulated: bool
    others: Scores | None = None
    proves_bf16: bool = False

    @property
    def patients(self) -> tuple[str, ...]:
        """All of them, each once, in order."""
        return tuple(sorted({row.patient for row in self.rows}))

    def data(self, patients: Sequence[str]) -> str:
        """Some of these scans in words, as a card names the data of a figure.

        `patients`: whose each of them is.
        """
        kind = "scans with simulated lesions" if self.simulated else "scans"
        part = "all" if self.split is None else f"the {self.split} part"
        scans, people, name = len(patients), len(set(patients)), self.manifest.path.name
        return f"{scans} {kind} of {people} patient(s), {part} of {name}"


def plan_evaluation(request: EvaluationRequest) -> EvaluationPlan:
    """Read card and manifest and choose the scans; make the folder for the outcome.

    Raises:
        EvaluationError: bundle, manifest, folder or set-up has a problem; tells all of them.
    """
    problems = [*set_up_problems(), *_folder_problems(request.out)]
    card = _card(request.bundle, problems)
    manifest = None if card is None else _manifest(request.manifest, card, problems)
    rows: tuple[ManifestRow, ...] = ()
    if card is not None and manifest is not None:
        rows = _chosen(manifest.rows, request)
        problems += _row_problems(card, rows, request.split)
    others = None if card is None else _others(request.against, card, problems)
    if problems or card is None or manifest is None:
        raise EvaluationError(tuple(problems))
    simulated = request.simulated
    if simulated is None:
        simulated = manifest.simulated
    return EvaluationPlan(
        request.bundle,
        card,
        manifest,
        rows,
        request.split,
        simulated,
        others,
        request.prove_bf16,
    )


def set_up_problems() -> tuple[str, ...]:
    """The packages that an evaluation needs and that are not installed."""
    return tuple(
        f"{package} is not installed, which {task}: pip install 'dicomnode[train]'"
        for package, task in _NEEDED.items()
        if find_spec(package) is None
    )


def _folder_problems(out: Path) -> list[str]:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return [f"{out}: {error.strerror}"]
    return [] if os.access(out, os.W_OK | os.X_OK) else [f"{out} cannot be written"]


def _card(folder: Path, problems: list[str]) -> Card | None:
    try:
        card = load_card(folder)
    except BundleError as error:
        problems += [f"bundle {folder.name}: {problem}" for problem in error.problems]
        return None
    problems += [f"bundle {folder.name}: {problem}" for problem in card.code_problems]
    return card


def _manifest(path: Path, card: Card, problems: list[str]) -> Manifest | None:
    classes = card.classes if card.reported else None
    try:
        return read_manifest(path, card.task, classes)
    except ManifestError as error:
        problems += [f"manifest {path.name}: {problem}" for problem in error.problems]
        return None


def _others(folder: Path | None, card: Card, problems: list[str]) -> Scores | None:
    if folder is None:
        return None
    try:
        return read_scores(folder, case_classes(card.task, card.classes))
    except EvaluationError as error:
        problems += error.problems
        return None


def case_classes(task: str, classes: tuple[str, ...]) -> tuple[str, ...]:
    """What a whole scan is told into: the classes of the card; for location attention the
    infections, or none found (Xu et al. 2020, table 5)."""
    return TASKS[task].cases(classes)


def _chosen(rows: Sequence[ManifestRow], request: EvaluationRequest) -> tuple[ManifestRow, ...]:
    """The rows of the wanted split; patients without one are drawn as for the training."""
    parts = draw_splits({row.patient: row.split for row in rows}, request.seed)
    placed = (replace(row, split=parts[row.patient]) for row in rows)
    return tuple(row for row in placed if request.split in {None, row.split})


def _row_problems(card: Card, rows: Sequence[ManifestRow], split: Split | None) -> list[str]:
    if not rows:
        return [f"manifest: no scan in the split {split}"]
    if card.task != LUNGS:
        return []
    return [f"scan {row.scan}: no lungs to compare with" for row in rows if row.lungs is None]
