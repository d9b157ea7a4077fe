"""One eligible series through the whole analysis: files in, findings and result objects out.

Used by the worker and by `dicomnode process` alike: what is seen offline is what the node does.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from dicomnode.assess import Assessment
from dicomnode.config import Settings
from dicomnode.decisions.reasons import Reason, Verdict
from dicomnode.errors import DataError
from dicomnode.headers import read_source
from dicomnode.results.build import (
    ResultContext,
    ResultObject,
    ResultSettings,
    SrClass,
    build_results,
)
from dicomnode.results.uids import derived_uid
from dicomnode.version import MANUFACTURER, PRODUCT_NAME, VERSION
from dicomnode.volume import load_volume
from inference.engine import Engine
from inference.errors import NetworkOutputError, NoLungsError
from inference.findings import CovnetFindings

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class Analysis:
    """Findings and the objects made of them; `seconds` by stage.

    `repairs`: what of the source's header had to be mended, in sentences without values.
    """

    findings: CovnetFindings
    objects: tuple[ResultObject, ...]
    repairs: tuple[str, ...]
    seconds: dict[str, float]

    def as_json(self) -> dict[str, Any]:
        """What the queue keeps of it."""
        model = self.findings.model
        return {
            "probabilities": probabilities(self.findings),
            "model": {
                "name": model.name,
                "version": model.version,
                "weights_sha256": model.weights_sha256,
                "training": model.training.value,
                "warning": model.warning,
            },
            "slices_analysed": len(self.findings.activations),
            "header_repairs": list(self.repairs),
            "seconds": {stage: round(value, 3) for stage, value in self.seconds.items()},
        }


def probabilities(findings: CovnetFindings) -> dict[str, float]:
    """Class to probability, rounded to what can be told apart."""
    return {
        name: round(value, 6)
        for name, value in zip(findings.class_names, findings.probabilities, strict=True)
    }


def analyse_series(
    engine: Engine,
    assessment: Assessment,
    settings: Settings,
    *,
    analysed_at: datetime,
    input_digest: str,
    completeness: str,
    progress: Progress | None = None,
) -> Analysis:
    """Decode, analyse and build the result objects of one eligible series.

    Raises:
        DataError: the pixels cannot be decoded or hold no lungs; names the rule and why.
    """
    stack = assessment.eligibility.stack
    paths = [assessment.files[header.sop_instance_uid] for header in stack.headers]
    started = time.perf_counter()
    volume = load_volume(paths, stack, os.cpu_count() or 1)
    decoded = time.perf_counter()
    try:
        findings = engine.analyse(volume, progress)
    except NoLungsError as error:
        found, limit = f"{error.found:.0f} {error.unit}", f"at least {error.limit:.0f} {error.unit}"
        raise DataError("lungs", f"{error.what}: {found}", limit) from error
    except NetworkOutputError as error:
        raise DataError("network_output", str(error)) from error
    analysed = time.perf_counter()
    context = ResultContext(
        sources=[read_source(path) for path in paths],
        volume=volume,
        findings=findings,
        analysed_at=analysed_at,
        input_digest=input_digest,
        completeness=completeness,
        conditions=conditions(settings),
        notes=notes(assessment.reasons),
        settings=result_settings(settings),
    )
    objects = build_results(context)
    built = time.perf_counter()
    seconds = {"decode": decoded - started, **findings.seconds, "results": built - analysed}
    return Analysis(findings, objects, context.header.repairs, seconds)


def conditions(settings: Settings) -> str:
    """For what a result is valid, in words."""
    limit = settings.eligibility.max_slice_thickness_mm
    return f"non-contrast chest CT, slice thickness and spacing at most {limit:g} mm"


def notes(reasons: Sequence[Reason]) -> tuple[str, ...]:
    """The warnings of the decision, as sentences for the report."""
    return tuple(str(reason) for reason in reasons if reason.verdict is Verdict.WARNING)


def result_settings(settings: Settings) -> ResultSettings:
    """The part of the configuration that shows in results.

    The device is this product at this AE title: its UID stays the same from result to result.
    """
    results, ae_title = settings.results, settings.node.ae_title
    return ResultSettings(
        manufacturer=MANUFACTURER,
        product_name=PRODUCT_NAME,
        software_version=VERSION,
        device_serial_number=ae_title,
        device_uid=derived_uid("device", PRODUCT_NAME, ae_title),
        ae_title=ae_title,
        configuration_digest=configuration_digest(settings),
        institution_name=results.institution_name,
        key_slices=results.key_slices,
        sr_class=SrClass(results.sr_class),
        sr_series_number=results.sr_series_number,
        sc_series_number=results.sc_series_number,
    )


def configuration_digest(settings: Settings) -> str:
    """SHA-256 of all that can change a result of the same input and model."""
    covered = {
        "version": VERSION,
        "ae_title": settings.node.ae_title,
        "eligibility": asdict(settings.eligibility),
        "results": settings.results.model_dump(),
    }
    return hashlib.sha256(json.dumps(covered, sort_keys=True).encode()).hexdigest()
