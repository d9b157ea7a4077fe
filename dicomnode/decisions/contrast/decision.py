"""Was contrast given? The table that decides from the three witnesses.

| any `yes` | any `no` | any_sign      | pixels_decide                                        |
|-----------|----------|---------------|------------------------------------------------------|
| yes       | -        | yes           | as the pixels; yes where they do not tell            |
| no        | yes      | no            | as the pixels; no where they do not tell             |
| no        | no       | unknown       | unknown                                              |

Before the pixels are read (`pixels` is None) pixels_decide leaves a `yes` open.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from dicomnode.decisions.contrast.contrast import Contrast, ContrastWitness
from dicomnode.decisions.reasons import Reason, Verdict


class ContrastPolicy(StrEnum):
    """Whom to believe when witnesses disagree."""

    ANY_SIGN = "any_sign"  # a single `yes` is contrast
    PIXELS_DECIDE = "pixels_decide"  # descriptions and attributes only where pixels do not tell


@dataclass(frozen=True)
class ContrastDecision:
    """`verdict`: was contrast given? `reasons`: one for each witness, then the rule `contrast`."""

    verdict: Contrast
    reasons: tuple[Reason, ...]

    @property
    def final(self) -> Reason:
        """The only reason that may fail."""
        return self.reasons[-1]

    def as_json(self) -> dict[str, Any]:
        reasons = [reason.as_json() for reason in self.reasons]
        return {"verdict": self.verdict.value, "reasons": reasons}


Witnesses = dict[str, ContrastWitness]


def decide_contrast(
    attributes: ContrastWitness,
    text: ContrastWitness,
    pixels: ContrastWitness | None,
    policy: ContrastPolicy = ContrastPolicy.ANY_SIGN,
    *,
    allow_contrast: bool = False,
) -> ContrastDecision:
    """Decide from what the witnesses say; `pixels` is None before the pixels are read.

    A witness that says otherwise than the decision is a warning. With `allow_contrast` the rule
    `contrast` warns where it would have failed.
    """
    witnesses = {"attributes": attributes, "text": text}
    if pixels is not None:
        witnesses["pixels"] = pixels
    verdict = _verdict(witnesses, policy)
    reasons = tuple(_witness_reason(name, one, verdict) for name, one in witnesses.items())
    final = _final(witnesses, verdict, allow_contrast=allow_contrast)
    return ContrastDecision(verdict, (*reasons, final))


def _verdict(witnesses: Witnesses, policy: ContrastPolicy) -> Contrast:
    said = {witness.verdict for witness in witnesses.values()}
    if policy is ContrastPolicy.PIXELS_DECIDE:
        pixels = witnesses.get("pixels")
        if pixels is None:
            return Contrast.UNKNOWN
        if pixels.verdict is not Contrast.UNKNOWN:
            return pixels.verdict
    if Contrast.YES in said:
        return Contrast.YES
    return Contrast.NO if Contrast.NO in said else Contrast.UNKNOWN


def _witness_reason(name: str, witness: ContrastWitness, verdict: Contrast) -> Reason:
    """What one witness says; a warning where it contradicts the decision."""
    contradicts = {witness.verdict, verdict} == {Contrast.YES, Contrast.NO}
    value = f"{witness.verdict}: {witness.evidence}"
    return Reason(f"contrast_{name}", value, None, Verdict.WARNING if contradicts else Verdict.PASS)


def _final(witnesses: Witnesses, verdict: Contrast, *, allow_contrast: bool) -> Reason:
    """Names who says what; disagreement, and a silence that pixels did not end, are warnings."""
    said = {witness.verdict for witness in witnesses.values()}
    disagree = said >= {Contrast.YES, Contrast.NO}
    value = f"{verdict}: {_sides(witnesses)}" + (", they disagree" if disagree else "")
    limit = None if allow_contrast else "none given"
    if verdict is Contrast.YES:
        stops = Verdict.WARNING if allow_contrast else Verdict.FAIL
        return Reason("contrast", value, limit, stops)
    open_yes = verdict is Contrast.UNKNOWN and Contrast.YES in said
    silent = verdict is Contrast.UNKNOWN and "pixels" in witnesses
    return Reason(
        "contrast",
        value,
        limit,
        Verdict.WARNING if disagree or open_yes or silent else Verdict.PASS,
    )


def _sides(witnesses: Witnesses) -> str:
    """`attributes yes, text unknown, pixels yes`, in the order of the witnesses."""
    return ", ".join(f"{name} {witness.verdict}" for name, witness in witnesses.items())
