"""What the flight recorder keeps of an analysis. It outlives the series, and names no patient.

What serves what. Regulation (EU) 2024/1689, Article 12 (2): (a) situations of risk and changes of
the system have `failures`, `reasons`, `product`, `libraries` and `models`; (b) monitoring after it
is on the market (Article 72) has `findings` by `scanner`; (c) monitoring of its operation by who
uses it (Article 26 (5)) has `source`, `times` and `results`. Article 12 (3) asks more of remote
biometric identification, which this is not. Article 26 (6), that who uses it keeps the records for
six months at least: neither a command nor retention removes one. Analysing again (`dicomnode
replay`) has `input`, `models_digest`, `settings` and `computed`.

Of free text nothing is kept but the scanner's maker and model and the kernel; of a rule its name
and verdict, for its value may be a description that somebody typed.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from dicomnode.analyse.analysis import Analysis
from dicomnode.assess.assessment import Assessment
from dicomnode.config.settings import Settings
from dicomnode.decisions.instance_header import InstanceHeader
from dicomnode.deliver.result_store import AT_ONCE
from dicomnode.methods.bundles import Engines
from dicomnode.methods.findings_json import findings_json, model_json
from dicomnode.version import MANUFACTURER, PRODUCT_NAME, VERSION
from inference.files import file_digest
from storage.decided import JsonObject
from storage.records import Job, ResultRecord, SeriesRecord, StoredInstance
from storage.results import ResultFiles

FORM = 1
"""Of the record; a new one where a field changes its meaning."""

_LIBRARIES = ("numpy", "torch", "openvino", "pydicom", "highdicom", "pynetdicom", "sqlalchemy")


@dataclass(frozen=True)
class Flight:
    """What was analysed, with what. `began_at`: of this attempt."""

    job: Job
    series: SeriesRecord
    instances: Sequence[StoredInstance]
    assessment: Assessment
    engines: Engines
    settings: Settings
    began_at: datetime

    def record(
        self, analysis: Analysis, results: Iterable[tuple[ResultRecord, str]], ended_at: datetime
    ) -> JsonObject:
        """`results`: each with the SHA-256 of its file (`with_digests`)."""
        return {
            "form": FORM,
            "product": {"name": PRODUCT_NAME, "version": VERSION, "manufacturer": MANUFACTURER},
            "libraries": libraries(),
            "ae_title": self.settings.node.ae_title,
            "source": self.series.calling_ae_title,
            "series_instance_uid": self.series.series_instance_uid,
            "modality": self.series.modality,
            "scanner": scanner(self.assessment.eligibility.stack.headers[0]),
            "input": {
                "digest": self.job.input_digest,
                "instances": len(self.instances),
                "bytes": sum(each.size_bytes for each in self.instances),
            },
            "models_digest": self.engines.digest,
            "models": models(self.engines),
            "settings": settings_of(self.settings),
            "made_with": analysis.made_with,
            "computed": computed(self.engines, self.settings),
            "reasons": [
                {"rule": each.rule, "verdict": each.verdict.value}
                for each in (*self.assessment.reasons, *analysis.reasons)
            ],
            "findings": findings_json(analysis.findings),
            "failures": [{"method": each.method, "rule": each.rule} for each in analysis.failures],
            "results": [_result(each, digest) for each, digest in results],
            "times": {
                "first_received": _moment(self.series.first_received_at),
                "last_received": _moment(self.series.last_received_at),
                "decided": _moment(self.series.decided_at),
                "queued": _moment(self.job.created_at),
                "began": _moment(self.began_at),
                "ended": _moment(ended_at),
            },
            "seconds": {stage: round(value, 3) for stage, value in analysis.seconds.items()},
            "attempt": self.job.attempt,
        }


def with_digests(
    files: ResultFiles, results: Iterable[ResultRecord]
) -> list[tuple[ResultRecord, str]]:
    """Each with the SHA-256 of its file as it lies there.

    Raises:
        OSError
    """
    records = list(results)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        digests = pool.map(file_digest, [files.open_path(each.path) for each in records])
        return list(zip(records, digests, strict=True))


def scanner(header: InstanceHeader) -> JsonObject:
    """What made the images, without which of them it was."""
    return {
        "manufacturer": header.manufacturer,
        "model": header.manufacturer_model_name,
        "kernel": header.convolution_kernel,
        "slice_thickness_mm": header.slice_thickness,
        "kvp": header.kvp,
    }


def models(engines: Engines) -> list[JsonObject]:
    """The models of the methods in their order, then that for the lungs if it is a network."""
    return [model_json(each) for each in engines.models]


def settings_of(settings: Settings) -> JsonObject:
    """Those that a finding can turn on."""
    return {"eligibility": asdict(settings.eligibility), "chest": asdict(settings.chest)}


def computed(engines: Engines, settings: Settings) -> JsonObject:
    """`device`: by method, "cpu" or "cuda"; `precision`: of the convolutions, by model."""
    inference = settings.inference
    return {
        "device": {each.title.key: getattr(each, "device", "cpu") for each in engines.methods},
        "engine": inference.engine,
        "precision": {each.name: each.precision for each in engines.models},
        "threads": inference.threads,
        "machine": platform.machine(),
        "python": platform.python_version(),
    }


@cache
def libraries() -> dict[str, str]:
    """Versions of those that a result depends on, where they are installed."""
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _result(each: ResultRecord, digest: str) -> JsonObject:
    return {
        "sop_instance_uid": each.sop_instance_uid,
        "sop_class_uid": each.sop_class_uid,
        "kind": each.kind,
        "sha256": digest,
    }


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
