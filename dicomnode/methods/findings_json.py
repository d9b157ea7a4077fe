"""The findings of every method in JSON's types, for the queue and for programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from inference.score_meaning import ScoreMeaning

if TYPE_CHECKING:
    from inference.findings import Answer, Findings, ModelIdentity
    from inference.regions import CandidateRegion


def findings_json(findings: Iterable[Findings]) -> list[dict[str, Any]]:
    """One entry a method: its answer by class, with how many slices and candidates it rests on.

    `slices_analysed`, `candidates`, `infections`: where the method works slice by slice, and where
    it looks for regions. Lengths in mm, LPS; volumes in ml; `side`: "right", "left" or null; boxes
    half-open, in voxels of the volume as it was stored.
    """
    return [_of_method(each) for each in findings]


def _of_method(found: Findings) -> dict[str, Any]:
    answer = found.answer
    entry: dict[str, Any] = {
        "method": found.title.key,
        "qualifier": found.title.qualifier,
        "model": model_json(found.model),
        "outcome": answer.outcome.name,
        "meaning": answer.meaning.value,
        "scores": _by_class(answer, answer.scores),
    }
    if answer.confidences:
        entry["confidences"] = _by_class(answer, answer.confidences)
    if found.heat is not None:
        entry["slices_analysed"] = len(found.heat)
    if found.regions is not None:
        entry["infections"] = len(found.infections)
        entry["candidates"] = [_candidate(answer, region) for region in found.regions]
    return entry


def _by_class(answer: Answer, values: Sequence[float]) -> dict[str, float]:
    """Class to value, rounded to what can be told apart."""
    return {name: round(value, 6) for name, value in zip(answer.names, values, strict=True)}


def model_json(model: ModelIdentity) -> dict[str, Any]:
    """Which bundle, and what must be said of it; the precision where it is not float32."""
    entry = {
        "name": model.name,
        "version": model.version,
        "weights_sha256": model.weights_sha256,
        "training": model.training.value,
        "warning": model.warning,
    }
    return entry | ({"precision": model.precision} if model.otherwise else {})


def _candidate(answer: Answer, region: CandidateRegion) -> dict[str, Any]:
    return {
        "class": answer.region_names[region.vote.class_index],
        "confidence": round(region.vote.confidence, 6),
        "score": round(region.score, 6),
        "side": region.side.name.lower() if region.side else None,
        "centre_lps_mm": [round(value, 2) for value in region.centre_lps_mm],
        "box": {
            "slices": list(region.box.slices),
            "rows": list(region.box.rows),
            "columns": list(region.box.columns),
        },
        "box_ml": round(region.box_ml, 3),
        "lesion_ml": round(region.lesion_ml, 3),
    }


def kept_findings(analysis: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The findings of an analysis as the queue keeps it, by this version or an earlier one.

    Earlier versions kept two methods under keys of their own.
    """
    if "findings" in analysis:
        return list(analysis["findings"])
    kept = []
    if analysis.get("probabilities"):
        scores = analysis["probabilities"]
        kept.append(
            {
                "method": "lungs",
                "qualifier": "",
                "model": analysis["model"],
                "outcome": max(scores, key=scores.__getitem__),
                "meaning": ScoreMeaning.PROBABILITY.value,
                "scores": scores,
            }
        )
    if analysis.get("regions"):
        regions = dict(analysis["regions"])
        scores = regions.pop("noisy_or")
        answer = {"meaning": ScoreMeaning.NOISY_OR.value, "scores": scores}
        kept.append({"method": "regions", "qualifier": "by regions"} | regions | answer)
    return kept
