"""What the demo leaves behind and shows at its end."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pydicom
from PIL import Image
from rich.console import Console

from dicomnode.config.settings import Settings
from dicomnode.decisions.reasons import Verdict
from dicomnode.decisions.wording import how_many, in_words
from dicomnode.results.documents.text import report_as_text
from inference.score_meaning import ScoreMeaning
from storage.records import ResultRecord, SeriesDetail, SeriesRecord
from storage.results import ResultFiles


def export_results(
    names: Mapping[str, str],
    details: Mapping[str, SeriesDetail],
    settings: Settings,
    folder: Path,
    console: Console,
) -> None:
    """Leave the DICOM objects, the SR as text and the montage as PNG in `folder/results`, in a
    folder for each series: several may have a note."""
    files = ResultFiles(settings.result_files)
    for uid, detail in details.items():
        out = folder / "results" / names[uid]
        out.mkdir(parents=True)
        for number, result in enumerate(detail.results, start=1):
            path = out / f"{number:02d}-{result.kind}.dcm"
            shutil.copyfile(files.open_path(result.path), path)
            readable = _readable(result, path)
            if readable is not None:
                console.print(f"left {readable.relative_to(folder.parent)}", highlight=False)


def _readable(result: ResultRecord, path: Path) -> Path | None:
    """A document as text, a picture as PNG; only documents and the montage are told.

    A segmentation is left as it is: it is a stack of masks, and means something on its CT alone.
    """
    made = pydicom.dcmread(path)
    if "PixelData" not in made:  # the report; a note, where a series waited long enough for one
        text = path.with_suffix(".txt")
        text.write_text(report_as_text(made), encoding="utf-8")
        return text
    if made.Modality == "SEG":
        return None
    picture = path.with_suffix(".png")
    pixels = made.pixel_array  # (rows, columns, 3), or of many frames: the middle one is shown
    Image.fromarray(pixels[len(pixels) // 2] if pixels.ndim == 4 else pixels).save(picture)
    return picture if result.kind == "montage" else None


def print_summary(
    console: Console, names: Mapping[str, str], details: Mapping[str, SeriesDetail]
) -> None:
    """Of each series the decision and how many objects were returned; below it what was found, and
    in how many seconds, or why it was not analysed."""
    for uid, name in names.items():
        detail = details.get(uid)
        if detail is not None:
            count = how_many(sum(each.arrived for each in detail.deliveries), "object")
            console.print(f"{name}: {detail.series.state.value}, {count} returned", style="bold")
            for line in _lines(detail.series):
                console.print(f"  {line}", highlight=False, markup=False)


def _lines(record: SeriesRecord) -> list[str]:
    if record.analysis is None:
        return [in_words(each) for each in record.reasons if each.verdict is Verdict.FAIL]
    stages = record.analysis["seconds"].items()
    seconds = ", ".join(f"{stage} {value:.1f}" for stage, value in stages)
    answers = [line for found in record.analysis["findings"] for line in _answer(found)]
    return [*answers, f"seconds: {seconds}"]


def _answer(found: Mapping[str, Any]) -> list[str]:
    """What one method found, in short: the warning, probabilities or else the outcome."""
    warning = [found["model"]["warning"]] if found["model"]["warning"] else []
    if found["meaning"] == ScoreMeaning.PROBABILITY:
        return warning + [f"{name}: {100 * p:.1f} %" for name, p in found["scores"].items()]
    return [*warning, f"{found['qualifier']}: {found['outcome']}"]
