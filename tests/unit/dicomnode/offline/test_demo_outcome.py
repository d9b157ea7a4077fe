"""What the demo leaves of each kind of result object, whichever of them a run comes to."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from PIL import Image
from rich.console import Console

from dicomnode.config.sections import NodeSettings
from dicomnode.config.settings import Settings
from dicomnode.deliver.result_store import store_result
from dicomnode.offline.demo_outcome import export_results, print_summary
from storage.records import SeriesDetail, SeriesState
from storage.results import ResultFiles
from support.result_kinds import every_kind
from support.storage_samples import PASSED, THICK, a_series

WITHOUT_A_PICTURE = {"seg", "region_seg"}


def test_documents_become_text_and_pictures_png(tmp_path: Path) -> None:
    settings = Settings(node=NodeSettings(data_directory=tmp_path / "data"))
    files, now = ResultFiles(settings.result_files), datetime.now(UTC)
    kinds = list(every_kind().values())
    records = [store_result(files, "1.2.3", each, now) for each in kinds]
    detail: Any = SimpleNamespace(results=records)
    said = Console(file=StringIO(), width=200)
    export_results(
        {"1.2.3": "ct"}, {"1.2.3": cast("SeriesDetail", detail)}, settings, tmp_path, said
    )
    out = tmp_path / "results" / "ct"
    left = sorted(path.suffix for path in out.iterdir())
    assert left.count(".dcm") == len(kinds)
    readable = [each for each in kinds if each.kind not in WITHOUT_A_PICTURE]
    assert left.count(".txt") + left.count(".png") == len(readable)
    for picture in out.glob("*.png"):
        with Image.open(picture) as image:
            assert image.width > 0
    for text in out.glob("*.txt"):
        assert text.read_text("utf-8").strip()


def test_the_documents_of_two_series_are_both_left(tmp_path: Path) -> None:
    settings = Settings(node=NodeSettings(data_directory=tmp_path / "data"))
    files, report = ResultFiles(settings.result_files), every_kind()["report"]
    record = store_result(files, "1.2.3", report, datetime.now(UTC))
    detail = cast("SeriesDetail", SimpleNamespace(results=[record]))
    said = Console(file=StringIO(), width=200)
    export_results(
        {"1": "thick", "2": "scout"}, {"1": detail, "2": detail}, settings, tmp_path, said
    )
    left = sorted(str(each.relative_to(tmp_path / "results")) for each in tmp_path.rglob("*.txt"))
    assert left == ["scout/01-sr.txt", "thick/01-sr.txt"]


def test_the_summary_says_of_each_series_what_became_of_it() -> None:
    skipped = replace(a_series(), state=SeriesState.SKIPPED, reasons=(PASSED, THICK))
    said = StringIO()
    print_summary(Console(file=said, width=80), {"1": "thick"}, {"1": SeriesDetail(skipped)})
    assert said.getvalue().splitlines() == [
        "thick: skipped, 0 objects returned",
        "  Slice thickness: 5 mm (asked for: at most 3 mm)",
    ]
