"""A manifest: a CSV file that names labelled scans for training and evaluation.

UTF-8, a header line, one scan a line; paths are relative to the manifest's folder. Columns:

`scan` (unique, letters, digits, `_`, `-`, `.`), `patient`, `path` (the folder of one DICOM series,
or a NIfTI file), `label` (a class; may be empty for the task `lungs`); and as far as known `split`
(training, validation, test; empty: drawn by patient), `lungs` (NIfTI mask), `lesions` (NIfTI, each
voxel the number of its lesion), `boxes` (CSV, see `read_boxes`), and strata for the evaluation:
`scanner`, `thickness_mm`, `kernel`, `sex`, `age`.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from dicomnode.errors import ManifestError
from inference.bundles.tasks import TASKS
from inference.entry_errors import read_entries
from inference.training.scan import LesionBox, Split

STRATA = ("scanner", "thickness_mm", "kernel", "sex", "age")
SIMULATION = "simulation.json"
"""What the simulator leaves beside the manifests that it writes."""
_REQUIRED = ("scan", "patient", "path")
_MASKS = ("lungs", "lesions")
_COLUMNS = (*_REQUIRED, "label", "split", *_MASKS, "boxes", *STRATA)
_NIFTI = (".nii", ".nii.gz")

Row = dict[str, str]


class _Line(BaseModel):
    """What may stand in a line, apart from what depends on files and the task."""

    model_config = ConfigDict(allow_inf_nan=False)

    scan: Annotated[
        str,
        Field(
            pattern="^[A-Za-z0-9_-][A-Za-z0-9_.-]*$",
            description="made of letters, digits, '_', '-' and '.'",
        ),
    ]
    patient: str
    path: str
    split: Split | None = None
    thickness_mm: Annotated[float | None, Field(ge=0, le=50)] = None
    age: Annotated[float | None, Field(ge=0, le=130, json_schema_extra={"unit": "years"})] = None


class _Box(BaseModel):
    """A line of a file of boxes."""

    model_config = ConfigDict(allow_inf_nan=False)

    number: Annotated[int, Field(ge=1, le=65535)]
    class_: Annotated[str, Field(alias="class", min_length=1)]
    kind: str
    low_x: float
    low_y: float
    low_z: float
    high_x: float
    high_y: float
    high_z: float


_BOX_COLUMNS = tuple(each.alias or name for name, each in _Box.model_fields.items())


@dataclass(frozen=True)
class ManifestRow:
    """One scan; paths are absolute. `split`: None where it is to be drawn."""

    scan: str
    patient: str
    path: Path
    label: str
    split: Split | None = None
    lungs: Path | None = None
    lesions: Path | None = None
    boxes: Path | None = None
    strata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """All rows, in the order of the file; `sha256`: of the file, hexadecimal."""

    path: Path
    task: str
    rows: tuple[ManifestRow, ...]
    sha256: str

    @property
    def simulated(self) -> bool:
        """Whether `dicomnode model simulate` painted the lesions: its record lies beside."""
        return (self.path.parent / SIMULATION).is_file()


def read_manifest(path: Path, task: str, classes: Sequence[str] | None = None) -> Manifest:
    """Read and check a manifest; the scans themselves are not yet read.

    `classes`: the labels that may occur; None: those of the task's paper.

    Raises:
        ManifestError: a row has a problem; tells all, of every row.
    """
    text, digest = _text(path)
    lines, problems = _table(text)
    if problems:
        raise ManifestError(path.name, tuple(problems))
    labels = _labels(task, classes)
    folder = path.parent.resolve()
    for number, line in lines:
        place = f"line {number}" + (f", scan {line['scan']}" if line["scan"] else "")
        problems += [f"{place}: {each}" for each in _row_problems(line, folder, task, labels)]
    problems += _problems_between([line for _, line in lines], folder)
    if problems:
        raise ManifestError(path.name, tuple(problems))
    rows = tuple(_row(line, folder) for _, line in lines)
    return Manifest(path.resolve(), task, rows, digest)


def read_boxes(path: Path) -> tuple[LesionBox, ...]:
    """The lesions of a scan: a CSV of number, class, kind and the corners low_x … high_z in LPS mm.

    Raises:
        ManifestError: a row has a problem; tells all, of every row.
    """
    text, _ = _text(path)
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    if tuple(reader.fieldnames or ()) != _BOX_COLUMNS:
        raise ManifestError(path.name, (f"the columns are not {','.join(_BOX_COLUMNS)}",))
    boxes: list[LesionBox] = []
    problems = []
    for line in reader:
        found = _box(line)
        if isinstance(found, LesionBox):
            boxes.append(found)
        else:
            problems += [f"line {reader.line_num}: {each}" for each in found]
    numbers = [box.number for box in boxes]
    problems += [f"lesion {n} comes twice" for n in sorted(set(numbers)) if numbers.count(n) > 1]
    if problems:
        raise ManifestError(path.name, tuple(problems))
    return tuple(boxes)


def _box(line: Row) -> LesionBox | tuple[str, ...]:
    """The lesion of a line, or what is wrong with the line."""
    box = read_entries(_Box, line, strict=False)
    if not isinstance(box, _Box):
        return box
    low, high = (box.low_x, box.low_y, box.low_z), (box.high_x, box.high_y, box.high_z)
    if not all(a < b for a, b in zip(low, high, strict=True)):
        return (f"box from {low} to {high} is empty",)
    return LesionBox(box.number, box.class_, box.kind, low, high)


def _text(path: Path) -> tuple[str, str]:
    """The file's text and digest.

    Raises:
        ManifestError
    """
    try:
        data = path.read_bytes()
        return data.decode("utf-8-sig"), hashlib.sha256(data).hexdigest()
    except OSError as error:
        raise ManifestError(path.name, (error.strerror or "cannot be read",)) from error
    except UnicodeDecodeError as error:
        raise ManifestError(path.name, (f"no UTF-8 text: {error.reason}",)) from error


def _table(text: str) -> tuple[list[tuple[int, Row]], list[str]]:
    """The rows with their line numbers, values stripped, every column there; and what is wrong."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header, *lines = [(reader.line_num, line) for line in reader if any(map(str.strip, line))]
    except (csv.Error, ValueError) as error:
        wording = str(error) if isinstance(error, csv.Error) else "is empty"
        return [], [f"line {reader.line_num}: {wording}"]
    columns = [name.strip() for name in header[1]]
    problems = _column_problems(columns)
    problems += [
        f"line {number}: {len(line)} values for {len(columns)} columns"
        for number, line in lines
        if len(line) != len(columns)
    ]
    if not lines:
        problems.append("no scan")
    if problems:
        return [], problems
    empty = dict.fromkeys(_COLUMNS, "")
    return [
        (number, empty | dict(zip(columns, map(str.strip, line), strict=True)))
        for number, line in lines
    ], []


def _column_problems(columns: Sequence[str]) -> list[str]:
    found = [f"column {name!r} is missing" for name in _REQUIRED if name not in columns]
    found += [f"column {name!r} is unknown" for name in columns if name not in _COLUMNS]
    twice = sorted({name for name in columns if columns.count(name) > 1})
    return found + [f"column {name!r} comes twice" for name in twice]


def _labels(task: str, classes: Sequence[str] | None) -> tuple[str, ...]:
    """What may stand in the column `label`; empty when anything may."""
    known = tuple(classes) if classes is not None else TASKS[task].classes()
    none = TASKS[task].none
    return (*known, none) if none else known


def _row_problems(line: Row, folder: Path, task: str, labels: Sequence[str]) -> Iterator[str]:
    """What is wrong with a row for itself."""
    found = read_entries(_Line, {name: value for name, value in line.items() if value}, False)
    yield from found if isinstance(found, tuple) else ()
    if TASKS[task].engine and line["label"] not in labels:
        known = ", ".join(map(repr, labels))
        yield (
            f"label {line['label']!r} is unknown (known: {known})" if line["label"] else "no label"
        )
    if line["path"]:
        yield from _path_problems(line, folder)


def _path_problems(line: Row, folder: Path) -> Iterator[str]:
    scan = folder / line["path"]
    if not scan.exists():
        yield f"path {line['path']!r} is not there"
    elif scan.is_file() and not scan.name.endswith(_NIFTI):
        yield f"path {line['path']!r} is neither a folder nor a NIfTI file"
    for column in _MASKS:
        if line[column] and not (folder / line[column]).is_file():
            yield f"{column} {line[column]!r} is not there"
        elif line[column] and not line[column].endswith(_NIFTI):
            yield f"{column} {line[column]!r} is no NIfTI file"
    if line["boxes"]:
        try:
            read_boxes(folder / line["boxes"])
        except ManifestError as error:
            yield from (f"boxes {line['boxes']!r}: {problem}" for problem in error.problems)


def _problems_between(lines: Sequence[Row], folder: Path) -> Iterator[str]:
    """Scans and paths named twice, patients in two parts."""
    scans: dict[str, int] = {}
    at: dict[Path, str] = {}
    splits: dict[str, set[str]] = {}
    for line in lines:
        scans[line["scan"]] = scans.get(line["scan"], 0) + 1
        place = (folder / line["path"]).resolve()
        if at.setdefault(place, line["scan"]) != line["scan"]:
            yield f"scans {at[place]} and {line['scan']} have the same path"
        splits.setdefault(line["patient"], set()).add(line["split"])
    yield from (f"scan {scan} comes {times} times" for scan, times in scans.items() if times > 1)
    for patient, parts in splits.items():
        if patient and len(parts) > 1:
            text = ", ".join(sorted(part or "(none)" for part in parts))
            yield f"patient {patient} is in several splits: {text}"


def _row(line: Row, folder: Path) -> ManifestRow:
    def file(column: str) -> Path | None:
        return folder / line[column] if line[column] else None

    return ManifestRow(
        scan=line["scan"],
        patient=line["patient"],
        path=folder / line["path"],
        label=line["label"],
        split=Split(line["split"]) if line["split"] else None,
        lungs=file("lungs"),
        lesions=file("lesions"),
        boxes=file("boxes"),
        strata={name: line[name] for name in STRATA if line[name]},
    )
