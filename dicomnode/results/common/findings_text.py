"""What one method found, in plain words: its lines of the summary and of the pictures.

Names of lines bear the method's qualifier, where it has one: "Class set by regions: …".
"""

from __future__ import annotations

from collections.abc import Sequence

from dicomnode.results.common.key_slices import NumberedRegion
from dicomnode.results.common.score_text import score_text
from inference.findings import Findings, ModelIdentity
from inference.regions import CandidateRegion
from inference.score_meaning import ScoreMeaning

SCORE_MEANING = (
    "Noisy-or joins the confidences of the regions as if these were independent: "
    "it rises with their number and is no probability of a disease"
)
_DIGEST_SHOWN = 16  # hexadecimal digits: enough to tell bundles apart by eye


def line_name(name: str, found: Findings) -> str:
    """The name of a line about one method."""
    return f"{name} {found.title.qualifier}".strip()


def answer_lines(found: Findings) -> list[str]:
    """The outcome; probabilities with it, and how many regions it rests on."""
    of = ""
    if found.regions is not None:
        number = f"{len(found.infections)} of {len(found.regions)}"
        of = f"; {number} candidate regions are infections."
    if found.answer.meaning is ScoreMeaning.NOISY_OR:
        return [f"{outcome_line(found)}{of or '.'}"]
    return [
        f"{line_name('Most probable', found)}: {found.answer.outcome.name}{of}",
        f"{line_name('Probabilities', found)}: {probabilities(found)}",
    ]


def outcome_line(found: Findings) -> str:
    """Which class it is, and by what: "By regions: COVID-19"."""
    by = found.title.qualifier or found.title.by
    return f"{by[0].upper()}{by[1:]}: {found.answer.outcome.name}"


def class_set_line(found: Findings) -> str:
    """What was looked for."""
    names = ", ".join(found.answer.names)
    return f"{line_name('Class set', found)}: {names}; nothing else was looked for."


def model_line(found: Findings) -> str:
    """By which bundle."""
    return f"{line_name('Model', found)}: {model_text(found.model)}."


def model_text(model: ModelIdentity) -> str:
    """Its name, and what it is beside that."""
    weights = f"weights {model.weights_sha256[:_DIGEST_SHOWN]}"
    return ", ".join((f"{model.name} {model.version}", weights, *model.otherwise))


def scores_line(found: Findings) -> str:
    """Noisy-or scores with their meaning."""
    answer = found.answer
    several = sum(score > 0 for score in answer.scores) > 1
    softmax = f"; softmax of these: {_scores(found, answer.confidences)}" if several else ""
    scores = _scores(found, answer.scores)
    return f"{line_name('Scores', found)}: noisy-or {scores}{softmax}. {SCORE_MEANING}."


def _scores(found: Findings, values: Sequence[float]) -> str:
    pairs = zip(found.answer.names, values, strict=True)
    return ", ".join(f"{name} {score_text(value)}" for name, value in pairs)


def region_line(each: NumberedRegion, slices: int) -> str:
    """Class, confidence and place of a region, in a volume of so many slices."""
    region = each.region
    x, y, z = region.centre_lps_mm
    return (
        f"Region {each.number}: {each.finding_class.name}, "
        f"confidence {score_text(region.vote.confidence)}, {side_text(region)}, "
        f"CT slice {region.middle_slice + 1}/{slices}, "
        f"centre {x:.0f}, {y:.0f}, {z:.0f} mm (LPS)."
    )


def side_text(region: CandidateRegion) -> str:
    """In which lung it lies."""
    return f"{region.side.name.lower()} lung" if region.side else "no lung about it"


def probabilities(found: Findings) -> str:
    """Each class with its probability, in the order of the model."""
    pairs = zip(found.answer.names, found.answer.scores, strict=True)
    return ", ".join(f"{name} {percent(p)}" for name, p in pairs)


def percent(fraction: float) -> str:
    return f"{100.0 * fraction:.1f} %"
