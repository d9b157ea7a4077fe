"""Each scan of an evaluation through the node's own engines.

Lungs are found as the node is configured to find them. The rules of eligibility are not asked:
what is to be evaluated is for the manifest to say.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from dicomnode.config.sections import MethodSettings
from dicomnode.config.settings import Settings
from dicomnode.errors import DataError, ManifestError
from dicomnode.methods.bundles import load_engines, load_lung_finder
from dicomnode.results.pictures.heatmap import THRESHOLD
from dicomnode.weights.evaluation_gallery import Gallery
from dicomnode.weights.manifest import ManifestRow
from dicomnode.weights.scans import load_scan
from inference.bundles.tasks import LUNGS
from inference.covnet.network import CLASSES
from inference.errors import NetworkOutputError, NoLungsError, VolumeError
from inference.evaluation.measures.lesions import (
    Match,
    found_lesions,
    lesion_classes,
    match_regions,
)
from inference.evaluation.measures.localisation import HeatShares, heat_shares
from inference.evaluation.measures.overlap import MaskAgreement, agreement
from inference.evaluation.measures.truth import known_lesions, own_lesions
from inference.findings import Findings, Method
from inference.lungs.finder import LungFinder
from inference.lungs.network import LungNetwork
from inference.lungs.thresholds import segment_lungs
from inference.progress import Progress
from inference.ties import first_of_highest
from inference.training.scan import LoadedScan

Found = TypeVar("Found")
Found_co = TypeVar("Found_co", covariant=True)
ScanFault = (DataError, ManifestError, NoLungsError, NetworkOutputError, VolumeError, OSError)
"""What may be wrong with one scan, and ends nothing but its analysis."""
LABELS_WITHOUT_HEAT = frozenset({CLASSES[-1]})
"""The evidence for non-pneumonia is not to lie on any lesion."""


@dataclass(frozen=True, eq=False)
class Attempt(Generic[Found_co]):
    """`found`: None where the analysis failed; `failure` then says why."""

    row: ManifestRow
    found: Found_co | None
    failure: str | None
    seconds: float


@dataclass(frozen=True, eq=False)
class ScoredScan:
    """What is kept of the findings, without their masks and maps, and where the heat lies.

    `shares`: None where the scan has no lesions of its own class.
    """

    probabilities: tuple[float, ...]
    winner: int
    shares: HeatShares | None


@dataclass(frozen=True, eq=False)
class RegionScan:
    """`matches`: of each region; `lesions`: class index of each lesion by number, and whether a
    region lies on it. Both None where the lesions are not known."""

    findings: Findings
    matches: tuple[Match, ...] | None
    lesions: dict[int, tuple[int, bool]] | None


@dataclass(frozen=True)
class LungScan:
    """`classical`: None where the classical method found no lungs."""

    network: MaskAgreement
    classical: MaskAgreement | None


def attempt_all(
    rows: Sequence[ManifestRow],
    analyse: Callable[[ManifestRow], Found],
    on_progress: Progress,
) -> list[Attempt[Found]]:
    """Every scan in turn; one that fails is kept with its reason.

    `on_progress`: scan, done and total.
    """
    attempts = []
    for number, row in enumerate(rows):
        on_progress(row.scan, number, len(rows))
        started = time.perf_counter()
        found, failure = None, None
        try:
            found = analyse(row)
        except ScanFault as error:
            failure = _reason(error)
        attempts.append(Attempt(row, found, failure, time.perf_counter() - started))
    on_progress("", len(rows), len(rows))
    return attempts


def _reason(error: Exception) -> str:
    """In one line, without any path."""
    if isinstance(error, OSError):
        return f"file: {error.strerror}"
    return " ".join(str(error).split())


def with_bundle(settings: Settings, task: str, folder: Path) -> Settings:
    """The node's settings with this bundle as its only method, or for its lungs."""
    whole = str(folder.resolve())
    update: dict[str, object] = {"lungs_bundle": whole}
    if task != LUNGS:
        update = {"methods": (MethodSettings(bundle=whole, task=task),)}
    changed = settings.inference.model_copy(update=update)
    return settings.model_copy(update={"inference": changed})


Watch = Callable[[Any], Any]
"""What is computed with, as something that is asked in its place."""


def unwatched(computing: Any) -> Any:
    """The same."""
    return computing


def scored_analyser(
    settings: Settings, gallery: Gallery, watch: Watch = unwatched
) -> Callable[[ManifestRow], ScoredScan]:
    """`gallery`: gets pictures of scans with lesions.

    Raises:
        as `load_engines`.
    """
    engines = load_engines(settings)
    (method,), lungs = engines.methods, engines.lungs
    engine = watch(method)
    return lambda row: _scored_scan(engine, lungs, row, gallery)


def _scored_scan(
    engine: Method, finder: LungFinder, row: ManifestRow, gallery: Gallery
) -> ScoredScan:
    scan = load_scan(row)
    volume, lungs = scan.volume, finder.mask(scan.volume)
    findings = engine.analyse(volume, lungs)
    answer = findings.answer
    scanned = ScoredScan(answer.scores, first_of_highest(answer.scores), None)
    lesions = None if row.label in LABELS_WITHOUT_HEAT else own_lesions(scan, row.label)
    if lesions is None or findings.heat is None:
        return scanned
    shares = heat_shares(volume, findings.heat, lungs, lesions, THRESHOLD)
    gallery.offer(row.scan, row.label, volume, findings, lesions)
    return replace(scanned, shares=shares)


def region_analyser(
    settings: Settings, watch: Watch = unwatched
) -> Callable[[ManifestRow], RegionScan]:
    """
    Raises:
        as `load_engines`.
    """
    engines = load_engines(settings)
    (method,), lungs = engines.methods, engines.lungs
    engine = watch(method)
    return lambda row: _region_scan(engine, lungs, load_scan(row), row.label)


def _region_scan(engine: Method, finder: LungFinder, scan: LoadedScan, label: str) -> RegionScan:
    findings = engine.analyse(scan.volume, finder.mask(scan.volume))
    names = findings.answer.region_names
    lesions = known_lesions(scan, free=label not in names[:-1])
    if lesions is None:
        return RegionScan(findings, None, None)
    matches = match_regions([region.box for region in findings.candidates], lesions)
    named = {box.number: box.class_name for box in scan.boxes}
    hit = found_lesions(matches)
    classes = lesion_classes(lesions, named, label)
    truth = {n: (class_index(names, name), n in hit) for n, name in classes.items()}
    return RegionScan(findings, matches, truth)


def class_index(classes: Sequence[str], name: str) -> int:
    """Of a lesion: an infection that the network does not know counts as the last class."""
    return classes.index(name) if name in classes else len(classes) - 1


def lung_analyser(
    settings: Settings, watch: Watch = unwatched
) -> Callable[[ManifestRow], LungScan]:
    """
    Raises:
        BundleError, DeviceError: as `load_lung_finder`.
    """
    network = load_lung_finder(settings).network
    if network is None:
        raise ValueError("the settings name no bundle for lungs")
    watched = watch(network)
    return lambda row: _lung_scan(watched, load_scan(row))


def _lung_scan(network: LungNetwork, scan: LoadedScan) -> LungScan:
    if scan.lungs is None:
        raise DataError("lungs", "the manifest names no mask")
    volume, truth = scan.volume, scan.lungs
    found = agreement(network.segment(volume) > 0, truth, volume.voxel_ml)
    try:
        classical = agreement(segment_lungs(volume), truth, volume.voxel_ml)
    except NoLungsError:
        classical = None
    return LungScan(found, classical)
