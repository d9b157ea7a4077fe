"""The second method in the summary: candidate regions and what they come to, in plain words."""

from __future__ import annotations

from collections.abc import Sequence

from dicomnode.results.common.codes import class_codes
from dicomnode.results.common.context import ResultContext
from dicomnode.results.common.key_slices import TOP_REGIONS
from dicomnode.results.common.score_text import score_text
from inference.location_attention.findings import NO_INFECTION, CandidateRegion, RegionFindings

SCORE_MEANING = (
    "Noisy-or joins the confidences of the regions as if these were independent: "
    "it rises with their number and is no probability of a disease"
)
_DIGEST_SHOWN = 16  # hexadecimal digits, as for the other model


def region_warning(context: ResultContext) -> list[str]:
    """The sentence about the weights, for the place before any answer."""
    regions = context.regions
    return [f"Regions: {regions.model.warning}"] if regions and regions.model.warning else []


def region_answer(context: ResultContext) -> list[str]:
    """Outcome, agreement, and where the surest regions are; nothing where there was no search."""
    regions = context.regions
    if regions is None:
        return []
    of = f"{len(regions.infections)} of {len(regions.regions)} candidate regions are infections"
    agreed = [context.agreement.sentence] if context.agreement else []
    shown = enumerate(regions.infections[:TOP_REGIONS], start=1)
    return [
        f"By regions: {outcome(regions)}; {of}.",
        *agreed,
        *(f"Region {number}: {_region(context, regions, each)}." for number, each in shown),
    ]


def region_details(context: ResultContext) -> list[str]:
    """Scores with their meaning, class set and model."""
    regions = context.regions
    if regions is None:
        return []
    model = regions.model
    several = sum(p > 0 for p in regions.verdict.noisy_or) > 1
    softmax = f"; softmax of these: {_scores(regions, regions.verdict.confidences)}"
    return [
        f"Scores by regions: noisy-or {_scores(regions, regions.verdict.noisy_or)}"
        f"{softmax if several else ''}. {SCORE_MEANING}.",
        f"Class set by regions: {', '.join(_names(regions))}; nothing else was looked for.",
        f"Model by regions: {model.name} {model.version}, "
        f"weights {model.weights_sha256[:_DIGEST_SHOWN]}.",
    ]


def outcome(regions: RegionFindings) -> str:
    """The infection that dominates, or that none was found."""
    index = regions.verdict.class_index
    return NO_INFECTION if index is None else _names(regions)[index]


def side_text(region: CandidateRegion) -> str:
    """In which lung it lies."""
    return f"{region.side.name.lower()} lung" if region.side else "no lung about it"


def _names(regions: RegionFindings) -> list[str]:
    return [class_codes(name).name for name in regions.infection_names]


def _scores(regions: RegionFindings, values: Sequence[float]) -> str:
    pairs = zip(_names(regions), values, strict=True)
    return ", ".join(f"{name} {score_text(value)}" for name, value in pairs)


def _region(context: ResultContext, regions: RegionFindings, region: CandidateRegion) -> str:
    name = _names(regions)[region.vote.class_index]
    x, y, z = region.centre_lps_mm
    return (
        f"{name}, confidence {score_text(region.vote.confidence)}, {side_text(region)}, "
        f"CT slice {region.middle_slice + 1}/{len(context.slices)}, "
        f"centre {x:.0f}, {y:.0f}, {z:.0f} mm (LPS)"
    )
