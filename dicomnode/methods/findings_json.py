"""The findings of both methods in JSON's types, for the queue and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inference.findings import CovnetFindings, ModelIdentity
from inference.location_attention.findings import CandidateRegion, RegionFindings


def probabilities(findings: CovnetFindings) -> dict[str, float]:
    """Class to probability, rounded to what can be told apart."""
    return by_class(findings.class_names, findings.probabilities)


def by_class(names: Sequence[str], values: Sequence[float]) -> dict[str, float]:
    """Class to value, rounded to what can be told apart."""
    return {name: round(value, 6) for name, value in zip(names, values, strict=True)}


def model_json(model: ModelIdentity) -> dict[str, Any]:
    """Which bundle, and what must be said of it."""
    return {
        "name": model.name,
        "version": model.version,
        "weights_sha256": model.weights_sha256,
        "training": model.training.value,
        "warning": model.warning,
    }


def regions_json(findings: RegionFindings) -> dict[str, Any]:
    """The case (noisy-or, and what the output rules make of it) and every candidate.

    Lengths in mm, LPS; volumes in ml; `side`: "right", "left" or null; boxes half-open, in voxels
    of the volume as it was stored.
    """
    verdict, names = findings.verdict, findings.infection_names
    return {
        "model": model_json(findings.model),
        "outcome": findings.outcome,
        "noisy_or": by_class(names, verdict.noisy_or),
        "confidences": by_class(names, verdict.confidences),
        "infections": len(findings.infections),
        "candidates": [_candidate(findings, region) for region in findings.regions],
    }


def _candidate(findings: RegionFindings, region: CandidateRegion) -> dict[str, Any]:
    return {
        "class": findings.class_names[region.vote.class_index],
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
