"""One eligible series through the whole analysis: files in, findings and result objects out.

All methods see the same volume and the same lungs.

Used by the worker and by `dicomnode process` alike: what is seen offline is what the node does.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dicomnode.assess.assessment import Assessment
from dicomnode.config.settings import Settings
from dicomnode.decisions.agreement import Agreement
from dicomnode.decisions.contrast.pixels import pixel_witness
from dicomnode.decisions.eligibility.chest import judge_chest
from dicomnode.decisions.eligibility.contrast_rules import judge_contrast
from dicomnode.decisions.method_failure import MethodFailure
from dicomnode.decisions.reasons import Reason, Verdict, with_later
from dicomnode.decisions.stack.geometry import SliceStack
from dicomnode.deliver.result_settings import analysis_digest, result_settings
from dicomnode.dicom_files.volume import load_volume
from dicomnode.errors import DataError
from dicomnode.methods.bundles import Engines
from dicomnode.methods.findings_json import findings_json
from dicomnode.methods.run import LACK_OF_MEMORY, Outcome, no_lungs, rule_of, run_methods
from dicomnode.results.build import (
    ResultContext,
    ResultObject,
    Variants,
    build_results,
)
from inference.arrays.components import Mask
from inference.errors import NetworkOutputError, NoLungsError, VolumeError
from inference.findings import Findings, Foreseeing, FoundLungs
from inference.lungs.blood_pool import measure_blood_pool
from inference.lungs.extent import measure_extent
from inference.progress import Progress
from inference.volume import CtVolume


@dataclass(frozen=True, eq=False)
class Analysis:
    """Findings and the objects made of them; `seconds` by stage (see `Computed.seconds`).

    `findings`: of each method that came to some, in order; `failures`: of the others, with why.
    `agreement`: None without two answers. `made_with`: `analysis_digest` of the settings and of
    the models that were loaded.

    `reasons`: what the pixels and the failures added to the decision. `repairs`: what of the
    source's header had to be mended, in sentences without values.
    """

    findings: tuple[Findings, ...]
    failures: tuple[MethodFailure, ...]
    agreement: Agreement | None
    objects: tuple[ResultObject, ...]
    reasons: tuple[Reason, ...]
    repairs: tuple[str, ...]
    seconds: dict[str, float]
    made_with: str

    def as_json(self) -> dict[str, Any]:
        """What the queue keeps of it."""
        return {
            "findings": findings_json(self.findings),
            "made_with": self.made_with,
            "failures": [failure.as_json() for failure in self.failures],
            "agreement": self.agreement.sentence if self.agreement else None,
            "relation": self.agreement.relation.value if self.agreement else None,
            "header_repairs": list(self.repairs),
            "seconds": {stage: round(value, 3) for stage, value in self.seconds.items()},
        }


@dataclass(frozen=True)
class Refusal:
    """The pixels showed that the series is not for analysis; all `reasons`, passes too."""

    reasons: tuple[Reason, ...]


@dataclass(frozen=True, eq=False)
class Computed:
    """A decoded series with what the methods found in it; no object is made of it yet.

    `lungs`: of all methods; `seen`: what its pixels say of the series.
    """

    volume: CtVolume
    lungs: FoundLungs
    outcomes: tuple[Outcome, ...]
    seen: tuple[Reason, ...]
    decode_seconds: float

    @property
    def findings(self) -> tuple[Findings, ...]:
        """Of each method that came to some, in order."""
        return tuple(each for each in self.outcomes if isinstance(each, Findings))

    @property
    def lacks_memory(self) -> bool:
        """Whether a method came to nothing for want of it: another time it may not."""
        failures = (each for each in self.outcomes if isinstance(each, MethodFailure))
        return any(each.rule == LACK_OF_MEMORY for each in failures)

    @property
    def seconds(self) -> dict[str, float]:
        """By stage; of a method whose lines have a qualifier behind its key: `regions.grid`."""
        by_stage = {"decode": self.decode_seconds, "lungs": self.lungs.seconds}
        for found in self.findings:
            before = f"{found.title.key}." if found.title.qualifier else ""
            by_stage |= {f"{before}{stage}": value for stage, value in found.seconds.items()}
        return by_stage


def compute(
    engines: Engines,
    assessment: Assessment,
    settings: Settings,
    progress: Progress | None = None,
) -> Computed | Refusal:
    """Decode one eligible series, and let all methods look at the same volume and lungs.

    Refused when the pixels show no chest, or contrast that the headers did not tell of.

    Raises:
        DataError: the pixels cannot be decoded, or no method comes to an answer; names the rule
            and why.
    """
    stack = assessment.eligibility.stack
    started = time.perf_counter()
    volume = decoded(engines, assessment)
    decode_seconds = time.perf_counter() - started
    try:
        lungs = engines.lungs.find(volume, progress)
    except NoLungsError as error:
        return Refusal((no_lungs(error),))
    except (NetworkOutputError, VolumeError) as error:
        raise DataError(rule_of(error), str(error)) from error
    seen = judge_pixels(volume, lungs.mask, stack, settings)
    if any(reason.verdict is Verdict.FAIL for reason in seen):
        return Refusal(seen)
    found = run_methods(engines.methods, volume, lungs, progress)
    if isinstance(found, Reason):
        return Refusal((found,))
    return Computed(volume, lungs, found, seen, decode_seconds)


def foresee(engines: Engines, assessment: Assessment, progress: Progress | None = None) -> None:
    """Of a series that still comes, compute and keep what the whole of it will need.

    Raises:
        DataError, InferenceError: of what is there nothing can be computed.
    """
    volume = decoded(engines, assessment)
    lungs = engines.lungs.mask(volume, progress)
    for method in engines.methods:
        if isinstance(method, Foreseeing):
            method.foresee(volume, lungs, progress)


def decoded(engines: Engines, assessment: Assessment) -> CtVolume:
    """The volume of the stack that was chosen.

    Raises:
        DataError: as `load_volume`.
    """
    stack = assessment.eligibility.stack
    paths = [assessment.files[header.sop_instance_uid] for header in stack.headers]
    return load_volume(paths, stack, os.cpu_count() or 1, memory=engines.memory)


def analyse_series(
    engines: Engines,
    assessment: Assessment,
    settings: Settings,
    *,
    analysed_at: datetime,
    input_digest: str,
    completeness: str,
    variants: Variants | None = None,
    revision: int = 0,
    progress: Progress | None = None,
    computed: Computed | Refusal | None = None,
) -> Analysis | Refusal:
    """Decode, analyse and build the result objects of one eligible series.

    `variants`: see `build_results`. `revision`: how often results of the series were withdrawn.
    `computed`: what `compute` gave for the same files and settings before, if it did.

    Raises:
        DataError: as `compute`.
    """
    found = computed or compute(engines, assessment, settings, progress)
    if isinstance(found, Refusal):
        return found
    started, slices = time.perf_counter(), assessment.eligibility.stack.headers
    reasons = with_later(assessment.reasons, found.seen)
    context = ResultContext(
        sources=[assessment.sources[header.slice_key] for header in slices],
        frame_numbers=[header.frame_number for header in slices],
        volume=found.volume,
        outcomes=found.outcomes,
        lungs=found.lungs,
        analysed_at=analysed_at,
        input_digest=input_digest,
        completeness=completeness,
        conditions=conditions(settings),
        notes=notes(reasons),
        settings=result_settings(settings),
        revision=revision,
    )
    objects = build_results(context, variants)
    results_seconds = time.perf_counter() - started
    return Analysis(
        findings=context.findings,
        failures=context.failures,
        agreement=context.agreement,
        objects=objects,
        reasons=(*found.seen, *(each.as_reason() for each in context.failures)),
        repairs=context.header.repairs,
        made_with=analysis_digest(settings, variants or (), engines.digest),
        seconds=found.seconds | {"results": results_seconds},
    )


def judge_pixels(
    volume: CtVolume, lungs: Mask, stack: SliceStack, settings: Settings
) -> tuple[Reason, ...]:
    """The rules that only the pixels can answer: is it a chest, and was contrast given?

    Reasons by the lungs and by the blood in the heart and great vessels.

    `lungs`: bool (slices, rows, columns) of `volume`, whose slices are those of `stack`. The
    reasons about contrast take the place of those that were given without the pixels.
    """
    chest = judge_chest(measure_extent(volume, lungs), settings.chest)
    witness = pixel_witness(measure_blood_pool(volume, lungs))
    contrast = judge_contrast(stack.headers, settings.eligibility, witness)
    return (*chest, *contrast.reasons)


def conditions(settings: Settings) -> str:
    """For what a result is valid, in words."""
    limit = settings.eligibility.max_slice_thickness_mm
    return f"non-contrast chest CT, slice thickness and spacing at most {limit:g} mm"


def notes(reasons: Sequence[Reason]) -> tuple[str, ...]:
    """The warnings of the decision, as sentences for the report."""
    return tuple(str(reason) for reason in reasons if reason.verdict is Verdict.WARNING)
