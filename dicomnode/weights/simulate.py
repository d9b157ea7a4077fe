"""`dicomnode model simulate`: lesions painted into the lungs of hosts, with manifests of them.

Every host gets every pattern equally often, at every split, so that neither the host nor what was
done to it tells the class.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from dicomnode.errors import ConfigurationError
from dicomnode.weights.manifest import STRATA, ManifestRow, read_manifest
from dicomnode.weights.nifti import write_nifti
from dicomnode.weights.scans import load_scan
from inference.bundles.tasks import NO_INFECTION
from inference.files import whole_file, write_json
from inference.lungs.thresholds import segment_lungs
from inference.simulation.paint import paint
from inference.simulation.patterns import Painted, Pattern
from inference.simulation.variation import Host, vary

CLEAN_PART = 0.15
"""Share of the scans without infection that are not painted at all."""
CHUNK = 8
"""Scans of one host that a process makes at a time: the host is read once for them."""
NON_PNEUMONIA = "non-pneumonia"
_BOX = ("number", "class", "kind", "low_x", "low_y", "low_z", "high_x", "high_y", "high_z")
_HEADER = ("scan", "patient", "path", "label", "split", "lungs", "lesions", "boxes", *STRATA)
_FOLDERS = ("scans", "lungs", "lesions", "boxes/covnet", "boxes/regions")
_MADE_BY = "simulation.json"

LABELS: dict[str, dict[Pattern, str]] = {
    "covnet": {
        Pattern.COVID19: str(Pattern.COVID19),
        Pattern.CAP: str(Pattern.CAP),
        Pattern.IRRELEVANT: NON_PNEUMONIA,
        Pattern.CLEAN: NON_PNEUMONIA,
    },
    "regions": {
        Pattern.COVID19: str(Pattern.COVID19),
        Pattern.INFLUENZA: str(Pattern.INFLUENZA),
        Pattern.IRRELEVANT: NO_INFECTION,
        Pattern.CLEAN: NO_INFECTION,
    },
    "lungs": dict.fromkeys(Pattern, ""),
}
"""Label of a scan by task; a pattern that is left out is none of the task's."""


@dataclass(frozen=True)
class Planned:
    """A scan to be made."""

    name: str
    host: ManifestRow
    pattern: Pattern
    seed: int


def plan(hosts: Sequence[ManifestRow], scans: int, seed: int) -> tuple[Planned, ...]:
    """Hosts in turn, and for each host COVID-19, pneumonia, influenza and no infection in turn."""
    planned = []
    for number in range(scans):
        turn, which = divmod(number, len(hosts))
        own = np.random.SeedSequence([seed, number])
        rng = np.random.Generator(np.random.PCG64(own))
        pattern = _PATTERNS[(turn + which) % len(_PATTERNS)]
        if pattern is Pattern.IRRELEVANT and rng.random() < CLEAN_PART:
            pattern = Pattern.CLEAN
        name = f"{number:05d}-{pattern.name.lower()}"
        planned.append(Planned(name, hosts[which], pattern, int(rng.integers(2**31))))
    return tuple(planned)


_PATTERNS = (Pattern.COVID19, Pattern.IRRELEVANT, Pattern.CAP, Pattern.INFLUENZA)


def simulate(
    hosts: Path, out: Path, scans: int, seed: int, workers: int, on_progress: Callable[[int], None]
) -> None:
    """Make the scans that are not yet there, then the manifests. `on_progress`: scans done.

    Raises:
        ManifestError: the hosts' manifest cannot be used.
        ConfigurationError: `out` holds scans made with other hosts or another seed.
        DataError, NoLungsError: a host cannot be read or holds no lungs.
    """
    manifest = read_manifest(hosts, "lungs")
    for folder in _FOLDERS:
        (out / folder).mkdir(parents=True, exist_ok=True)
    _same_run(out / _MADE_BY, {"hosts_sha256": manifest.sha256, "seed": seed})
    planned = plan(manifest.rows, scans, seed)
    missing = [each for each in planned if not _is_made(out, each)]
    on_progress(len(planned) - len(missing))
    _make_all(list(_chunks(missing)), out, workers, on_progress)
    for task, labels in LABELS.items():
        _write_manifest(out / f"{task}.csv", task, labels, planned)


def _same_run(path: Path, made_by: dict[str, object]) -> None:
    if not path.exists():
        write_json(path, made_by)
    elif json.loads(path.read_text("utf-8")) != made_by:
        raise ConfigurationError(f"{path.parent}: made with other hosts or another seed")


def _is_made(out: Path, each: Planned) -> bool:
    """The last file of a scan is written when all others are there."""
    return (out / "boxes/regions" / f"{each.name}.csv").exists()


def _chunks(planned: Sequence[Planned]) -> Iterator[list[Planned]]:
    by_host: dict[str, list[Planned]] = {}
    for each in planned:
        by_host.setdefault(each.host.scan, []).append(each)
    for own in by_host.values():
        yield from (own[start : start + CHUNK] for start in range(0, len(own), CHUNK))


def _make_all(
    chunks: Sequence[list[Planned]], out: Path, workers: int, on_progress: Callable[[int], None]
) -> None:
    if workers <= 1:
        for chunk in chunks:
            _make(chunk, out)
            on_progress(len(chunk))
        return
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        futures = {pool.submit(_make, chunk, out): len(chunk) for chunk in chunks}
        for future in as_completed(futures):
            future.result()
            on_progress(futures[future])


def _make(chunk: Sequence[Planned], out: Path) -> None:
    """Scans of one host."""
    loaded = load_scan(chunk[0].host)
    lungs = segment_lungs(loaded.volume) if loaded.lungs is None else loaded.lungs
    for each in chunk:
        host = vary(Host(loaded.volume, lungs), each.seed)
        _write(out, each, host, paint(host.volume, host.lungs, each.pattern, each.seed))


def _write(out: Path, each: Planned, host: Host, painted: Painted) -> None:
    file, affine = f"{each.name}.nii.gz", painted.volume.affine
    write_nifti(out / "scans" / file, painted.volume.hu, affine)
    write_nifti(out / "lungs" / file, host.lungs.view(np.uint8), affine)
    write_nifti(out / "lesions" / file, painted.lesions, affine)
    for task in ("covnet", "regions"):
        _write_boxes(out / "boxes" / task / f"{each.name}.csv", painted, task)


def _write_boxes(path: Path, painted: Painted, task: str) -> None:
    with whole_file(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_BOX)
        for mark in painted.marks:
            name = mark.class_name
            if task == "covnet" and name == Pattern.IRRELEVANT:
                name = NON_PNEUMONIA
            corners = [f"{value:.2f}" for corner in mark.box for value in corner]
            writer.writerow([mark.number, name, mark.kind, *corners])


def _write_manifest(
    path: Path, task: str, labels: dict[Pattern, str], planned: Sequence[Planned]
) -> None:
    with whole_file(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_HEADER)
        writer.writerows(
            _row(each, labels[each.pattern], task) for each in planned if each.pattern in labels
        )


def _row(each: Planned, label: str, task: str) -> list[str]:
    file = f"{each.name}.nii.gz"
    boxes = "covnet" if task == "covnet" else "regions"
    strata = [each.host.strata.get(name, "") for name in STRATA]
    masks = [f"lungs/{file}", f"lesions/{file}", f"boxes/{boxes}/{each.name}.csv"]
    place = [each.name, each.host.patient, f"scans/{file}", label, each.host.split or ""]
    return [*place, *masks, *strata]
