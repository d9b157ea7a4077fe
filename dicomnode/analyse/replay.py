"""Analyses a stored series again, as a flight record tells it was, and compares the findings.

Nothing of the node is changed. What a result object looks like is not compared: its file has its
digest in the record.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from dicomnode.analyse.analysis import Refusal, compute
from dicomnode.analyse.flight import computed, libraries
from dicomnode.assess.assessment import assess_files, files_digest
from dicomnode.config.settings import Settings
from dicomnode.data_directory.files import instance_files
from dicomnode.decisions.eligibility.chest import ChestPolicy
from dicomnode.decisions.eligibility.eligibility import EligibilityPolicy
from dicomnode.decisions.reasons import failed_rules
from dicomnode.errors import DataError
from dicomnode.methods.bundles import Engines, load_engines, models_digest
from dicomnode.methods.findings_json import findings_json
from dicomnode.version import VERSION
from inference.progress import Progress
from inference.ties import TIES
from storage import index
from storage.database import Database
from storage.flight_records import FlightRecord

ELSEWHERE = 2e-2
"""Of a score, where it was computed by another device, engine or release of a library: what half
precision on a GPU may differ from the reference (`HALF_TOLERANCE` of location attention)."""

MEASURED_SHARE = 0.01
"""Of lengths and volumes, beside a hundredth of their unit: they are counted in voxels."""

_TOLD_ELSEWHERE = frozenset({"precision"})
"""Of a model: with what is computed otherwise than then."""
_SCORES = frozenset({"scores", "score", "confidences", "confidence"})


@dataclass(frozen=True)
class Difference:
    """`what`: where in the findings, its parts joined by dots."""

    what: str
    then: str
    now: str


@dataclass(frozen=True)
class Replay:
    """`elsewhere`: what computes otherwise than it did then, in words. `tolerance`: of scores."""

    findings: tuple[dict[str, Any], ...]
    differences: tuple[Difference, ...]
    tolerance: float
    elsewhere: tuple[str, ...]

    @property
    def is_same(self) -> bool:
        return not self.differences


def replay(
    database: Database, settings: Settings, record: FlightRecord, progress: Progress | None = None
) -> Replay:
    """The series of a record once more, by the eligibility and chest limits of then.

    Raises:
        DataError: it cannot be: its files are gone or others, or the bundles are others; says what.
        BundleError, DeviceError: as `load_engines`.
    """
    then = record.content
    files = _files(database, settings, record)
    _check_bundles(settings, then)
    policies = {
        "eligibility": TypeAdapter(EligibilityPolicy).validate_python(
            then["settings"]["eligibility"]
        ),
        "chest": TypeAdapter(ChestPolicy).validate_python(then["settings"]["chest"]),
    }
    settings = settings.model_copy(update=policies)
    engines = load_engines(settings)
    found = _findings(engines, settings, files, progress)
    elsewhere = tuple(_elsewhere(then, engines, settings))
    tolerance = ELSEWHERE if elsewhere else _on_the_same_device(then)
    if isinstance(found, str):
        return Replay((), (Difference("decision", "analysed", found),), tolerance, elsewhere)
    differences = tuple(differing(then["findings"], found, tolerance))
    return Replay(tuple(found), differences, tolerance, elsewhere)


def _files(database: Database, settings: Settings, record: FlightRecord) -> list[Path]:
    with database.read() as session:
        instances = index.instances_of_series(session, record.series_key)
    if not instances:
        text = f"the files of series {record.series_key} are not kept any more"
        raise DataError("replay", text)
    files = instance_files(settings).bring(instances)
    missing = sum(not file.is_file() for file in files)
    if missing:
        raise DataError("replay", f"{missing} of its {len(files)} files are missing")
    if files_digest(files) != record.content["input"]["digest"]:
        text = f"its {len(files)} instances are not, or not byte by byte, those of then"
        raise DataError("replay", text)
    return files


def _check_bundles(settings: Settings, then: Mapping[str, Any]) -> None:
    if models_digest(settings) != then["models_digest"]:
        named = ", ".join(
            f"{each['name']} {each['version']} ({each['weights_sha256'][:12]})"
            for each in then["models"]
        )
        text = f"the bundles, or intended_use_here, are not those of then: {named}"
        raise DataError("replay", text)


def _findings(
    engines: Engines,
    settings: Settings,
    files: Sequence[Path],
    progress: Progress | None,
) -> list[dict[str, Any]] | str:
    """Of all methods, or why there are none."""
    assessment = assess_files(files, settings.eligibility)
    if not assessment.eligible:
        return f"not analysed: {', '.join(failed_rules(assessment.reasons))}"
    try:
        computed = compute(engines, assessment, settings, progress)
    except DataError as error:
        return f"failed: {error.rule}"
    if isinstance(computed, Refusal):
        return f"not analysed: {', '.join(failed_rules(computed.reasons))}"
    found: list[dict[str, Any]] = json.loads(json.dumps(findings_json(computed.findings)))
    return found


def _elsewhere(then: Mapping[str, Any], engines: Engines, settings: Settings) -> Iterator[str]:
    """What is computed with, where it is another than then."""
    now = computed(engines, settings) | {"libraries": libraries(), "release": VERSION}
    before = {"libraries": then["libraries"], "release": then["product"]["version"]}
    for name, value in (then["computed"] | before).items():
        for key, former, present in _pairs(name, value, now[name]):
            if former != present and key != "threads":  # TIES cover their number
                yield f"{key}: {former} then, {present} now"


def _pairs(name: str, then: Any, now: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(then, dict):
        for key in sorted(then.keys() | now.keys()):
            yield key, then.get(key), now.get(key)
    else:
        yield name, then, now


def _on_the_same_device(then: Mapping[str, Any]) -> float:
    """By the precision; records of before it was kept have the device only."""
    usual = {"": "f16" if "cuda" in then["computed"]["device"].values() else "f32"}
    return max(TIES[each] for each in then["computed"].get("precision", usual).values())


def differing(then: Any, now: Any, tolerance: float, what: str = "") -> Iterator[Difference]:
    """Where two findings, as `findings_json` has them, are not the same.

    Scores from 0 to 1 may differ by `tolerance`, other numbers with a fraction by MEASURED_SHARE.
    """
    if isinstance(then, dict) and isinstance(now, dict):
        for key in sorted((then.keys() | now.keys()) - _TOLD_ELSEWHERE):
            yield from differing(then.get(key), now.get(key), tolerance, f"{what}.{key}".strip("."))
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for number, (former, present) in enumerate(zip(then, now, strict=True)):
            name = former.get("method", number) if isinstance(former, dict) else number
            yield from differing(former, present, tolerance, f"{what}.{name}".strip("."))
    elif not _is_same(then, now, tolerance, what):
        yield Difference(what, _shown(then), _shown(now))


def _is_same(then: Any, now: Any, tolerance: float, what: str) -> bool:
    if isinstance(then, float) or isinstance(now, float):
        with suppress(TypeError):
            share = MEASURED_SHARE * abs(then) + 0.01
            limit = tolerance if _SCORES & set(what.split(".")) else share
            return bool(abs(then - now) <= limit)
    return bool(then == now)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"{len(value)} of them"
    return "nothing" if value is None else str(value)
