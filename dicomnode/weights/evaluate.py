"""`dicomnode model evaluate`: a bundle on the scans of a manifest, to figures and a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from dicomnode.config.settings import Settings
from dicomnode.errors import ConfigurationError
from dicomnode.version import VERSION
from dicomnode.weights.evaluation_against import PROBABILITIES
from dicomnode.weights.evaluation_bf16 import Trial, computing_in, precision_blocks
from dicomnode.weights.evaluation_cases import (
    as_csv,
    heat_cases,
    lung_cases,
    lung_line,
    region_cases,
    region_lines,
    region_scan_cases,
    region_scan_line,
    scored_cases,
    scored_line,
)
from dicomnode.weights.evaluation_gallery import Gallery
from dicomnode.weights.evaluation_plan import EvaluationPlan, set_up_problems
from dicomnode.weights.evaluation_scans import (
    Attempt,
    attempt_all,
    lung_analyser,
    region_analyser,
    scored_analyser,
    unwatched,
    with_bundle,
)
from dicomnode.weights.manifest import STRATA
from inference.bundles.card import Card, Metric
from inference.bundles.proof import PrecisionProof
from inference.bundles.tasks import TASKS
from inference.errors import EvaluationError
from inference.evaluation.measures.classification import Cases, classify
from inference.evaluation.measures.confusion import ConfusionMatrix
from inference.evaluation.report.classes import (
    calibration_blocks,
    class_blocks,
    class_metrics,
    strata_blocks,
)
from inference.evaluation.report.comparison import comparison_blocks
from inference.evaluation.report.confusion_csv import read_confusion
from inference.evaluation.report.document import Block, Document, Notice
from inference.evaluation.report.heat import gallery_blocks, heat_blocks, heat_metrics
from inference.evaluation.report.lungs import lung_blocks, lung_metrics
from inference.evaluation.report.pages import to_html, to_markdown
from inference.evaluation.report.regions import region_blocks, region_metrics
from inference.evaluation.report.report import Evaluated, counts_report, report
from inference.files import write_json, write_whole
from inference.progress import Progress

Sections = list[tuple[str, Sequence[Block]]]

LUNGS, REGIONS = "lungs.csv", "regions.csv"
FIGURES, MARKDOWN, HTML = "evaluation.json", "report.md", "report.html"


@dataclass(frozen=True, eq=False)
class Outcome:
    """`metrics`: for a card; `matrix`: of the scans, None for masks of the lungs; `tables`: the CSV
    files by name; `failed`: scan and reason; `proof`: of bfloat16, where it was asked for."""

    document: Document
    metrics: tuple[Metric, ...]
    matrix: ConfusionMatrix | None
    tables: Mapping[str, str]
    failed: tuple[tuple[str, str], ...]
    proof: PrecisionProof | None = None


@dataclass(frozen=True, eq=False)
class _Found:
    """What one task makes of its attempts."""

    sections: Sections
    metrics: list[Metric]
    matrix: ConfusionMatrix | None
    tables: dict[str, str]


def evaluate(plan: EvaluationPlan, settings: Settings, on_progress: Progress) -> Outcome:
    """Analyse every scan of the plan with its bundle, otherwise by the node's `settings`.

    In float32, whatever the node computes in: that is what a card's figures are of.

    Raises:
        BundleError, DeviceError: the bundle cannot be loaded, or its device, or bfloat16 that is to
            be proven, is not there.
    """
    task = plan.card.task
    chosen = computing_in(with_bundle(settings, task, plan.bundle), "f32")
    trial = Trial.load(chosen, task, plan.bundle) if plan.proves_bf16 else None
    watch = trial.watch if trial else unwatched
    attempts: Sequence[Attempt[Any]]
    if not TASKS[task].engine:
        attempts = attempt_all(plan.rows, lung_analyser(chosen, watch), on_progress)
        found = _lungs(plan, attempts)
    elif TASKS[task].last_class is None:
        gallery = Gallery()
        attempts = attempt_all(plan.rows, scored_analyser(chosen, gallery, watch), on_progress)
        found = _scored(plan, attempts, gallery)
    else:
        attempts = attempt_all(plan.rows, region_analyser(chosen, watch), on_progress)
        found = _regions(plan, attempts)
    failed = tuple((each.row.scan, each.failure) for each in attempts if each.failure)
    analysed = [each.row.patient for each in attempts if each.found is not None]
    proof = trial.proof(plan.data(analysed)) if trial else None
    sections = [*found.sections, *_precision(plan.card, proof)]
    about = Evaluated(plan.card, plan.simulated, _facts(plan, chosen), failed)
    return Outcome(
        report(about, sections), tuple(found.metrics), found.matrix, found.tables, failed, proof
    )


def _scored(plan: EvaluationPlan, attempts: Sequence[Attempt[Any]], gallery: Gallery) -> _Found:
    classes = plan.card.classes
    table = as_csv(scored_line(each, classes) for each in attempts)
    cases = scored_cases(attempts, classes)
    if not len(cases):
        return _nothing({PROBABILITIES: table})
    found, heat, data = classify(cases), heat_cases(attempts, classes), plan.data(cases.patients)
    sections: Sections = [
        ("Classes", class_blocks(found, "classes")),
        ("Calibration", calibration_blocks(cases, "classes")),
        ("Strata", _strata(cases, attempts)),
        *_comparison(plan, cases, attempts),
    ]
    if heat:
        tiles = [(tile.words, tile.picture) for tile in gallery.tiles]
        sections.insert(2, ("Heat on lesions", [*heat_blocks(heat), *gallery_blocks(tiles)]))
    metrics = [*class_metrics(found, data), *heat_metrics(heat, data)]
    return _Found(sections, metrics, found.matrix, {PROBABILITIES: table})


def _regions(plan: EvaluationPlan, attempts: Sequence[Attempt[Any]]) -> _Found:
    classes = plan.card.classes
    tables = {
        PROBABILITIES: as_csv(region_scan_line(each, classes) for each in attempts),
        REGIONS: as_csv(line for each in attempts for line in region_lines(each)),
    }
    cases = region_scan_cases(attempts, classes)
    if not len(cases):
        return _nothing(tables)
    found, known, data = classify(cases), region_cases(attempts), plan.data(cases.patients)
    sections: Sections = [
        ("Cases", class_blocks(found, "cases")),
        ("Strata", _strata(cases, attempts)),
        *_comparison(plan, cases, attempts),
    ]
    metrics = class_metrics(found, data)
    if known:
        sections.insert(1, ("Patches and regions", region_blocks(known, classes)))
        metrics += region_metrics(known, classes, plan.data([each.patient for each in known]))
    return _Found(sections, metrics, found.matrix, tables)


def _lungs(plan: EvaluationPlan, attempts: Sequence[Attempt[Any]]) -> _Found:
    tables = {LUNGS: as_csv(lung_line(each) for each in attempts)}
    cases = lung_cases(attempts)
    if not cases:
        return _nothing(tables)
    metrics = lung_metrics(cases, plan.data([each.patient for each in cases]))
    return _Found([("Masks of the lungs", lung_blocks(cases))], metrics, None, tables)


def _nothing(tables: dict[str, str]) -> _Found:
    return _Found([("Figures", [Notice("No scan could be analysed.")])], [], None, tables)


def _strata(cases: Cases, attempts: Sequence[Attempt[Any]]) -> list[Block]:
    known = [each.row.strata for each in attempts if each.found is not None]
    return strata_blocks(cases, known, STRATA)


def _comparison(plan: EvaluationPlan, cases: Cases, attempts: Sequence[Attempt[Any]]) -> Sections:
    """With the other evaluation, where one was named."""
    if plan.others is None:
        return []
    others = plan.others
    scans = [each.row.scan for each in attempts if each.found is not None]
    common = [index for index, scan in enumerate(scans) if scan in others]
    if not common:
        return [("Comparison", [Notice("The other evaluation has none of these scans.")])]
    scores = np.array([others[scans[index]] for index in common])
    return [("Comparison", comparison_blocks(cases.some(common), scores))]


def _precision(card: Card, proof: PrecisionProof | None) -> Sections:
    blocks = precision_blocks(proof, card.tolerance, card.task) if proof else []
    return [("Precision", blocks)] if blocks else []


def _facts(plan: EvaluationPlan, settings: Settings) -> tuple[tuple[str, str], ...]:
    card = plan.card
    by = "a network" if settings.inference.lungs_bundle else "the classical method"
    return (
        ("Training of the weights", card.training),
        ("Learned from", card.training_data or "–"),
        ("Meant for", card.intended_use),
        ("Weights (SHA-256)", card.weights_sha256),
        ("Data", plan.data([row.patient for row in plan.rows])),
        ("Manifest (SHA-256)", plan.manifest.sha256),
        ("Lungs found by", by),
        ("Node", f"dicomnode {VERSION}, {datetime.now(UTC):%Y-%m-%d}"),
    )


def write_outcome(plan: EvaluationPlan, outcome: Outcome, out: Path) -> None:
    """All files of an evaluation; `evaluation.json` last, so that it stands for the whole."""
    for name, text in outcome.tables.items():
        write_whole(out / name, text.encode())
    write_report(outcome.document, out)
    write_json(out / FIGURES, _as_json(plan, outcome))


def write_report(document: Document, out: Path) -> None:
    """As Markdown with its pictures, and as one HTML file."""
    for picture in document.pictures:
        write_whole(out / picture.name, picture.png)
    write_whole(out / MARKDOWN, to_markdown(document).encode())
    write_whole(out / HTML, to_html(document).encode())


def _as_json(plan: EvaluationPlan, outcome: Outcome) -> dict[str, Any]:
    """What `dicomnode model package` reads; `figures` are the metrics of a card."""
    card, matrix = plan.card, outcome.matrix
    return {
        "task": card.task,
        "bundle": {
            "name": card.name,
            "version": card.version,
            "digest": card.digest,
            "weights_sha256": card.weights_sha256,
            "training": card.training,
            "classes": list(card.classes),
        },
        "manifest": {"name": plan.manifest.path.name, "sha256": plan.manifest.sha256},
        "split": "all" if plan.split is None else plan.split,
        "simulated": plan.simulated,
        "patients": list(plan.patients),
        "scans": [row.scan for row in plan.rows],
        "failed": [{"scan": scan, "reason": reason} for scan, reason in outcome.failed],
        "figures": [asdict(each) for each in outcome.metrics],
        "precision": [asdict(outcome.proof)] if outcome.proof else [],
        "confusion": None
        if matrix is None
        else {"classes": list(matrix.classes), "counts": matrix.counts.tolist()},
        "software": f"dicomnode {VERSION}",
        "evaluated_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def report_of_counts(path: Path) -> Document:
    """The tables that a confusion matrix in a CSV file gives.

    Raises:
        ConfigurationError: the file cannot be read.
        EvaluationError: it is no matrix or a package is missing.
    """
    if missing := set_up_problems():
        raise EvaluationError(missing)
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise EvaluationError((f"{path.name} is no UTF-8 text: {error.reason}",)) from error
    return counts_report(read_confusion(text), path.name)
