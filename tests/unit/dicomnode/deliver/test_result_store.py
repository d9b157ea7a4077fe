"""Files of results: the bytes that were first under a UID stay."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from dicomnode.deliver.result_store import store_result
from dicomnode.results.build import ResultObject, encode
from dicomnode.results.segmentation.segmentation import segmentations
from storage.results import ResultFiles
from support.result_samples import context

FIRST, LATER = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)


def made(moment: datetime) -> ResultObject:
    (lungs,) = segmentations(context(analysed_at=moment))
    return lungs


@pytest.fixture
def files(tmp_path: Path) -> ResultFiles:
    return ResultFiles(tmp_path)


def test_a_later_analysis_with_the_same_content_keeps_the_first_bytes(files: ResultFiles) -> None:
    first, later = made(FIRST), made(LATER)
    assert encode(first) != encode(later)
    record = store_result(files, "1.2.3", first, FIRST)
    again = store_result(files, "1.2.3", later, LATER)
    assert files.open_path(again.path).read_bytes() == encode(first)
    assert (again.path, again.size_bytes) == (record.path, record.size_bytes)
    assert (record.created_at, again.created_at) == (FIRST, LATER)
    assert (record.kind, store_result(files, "1.2.3", first, FIRST, "note").kind) == ("seg", "note")


@pytest.mark.parametrize("damage", ["cut short", "a bit", "empty", "removed"])
def test_a_damaged_file_is_made_anew(files: ResultFiles, damage: str) -> None:
    record = store_result(files, "1.2.3", made(FIRST), FIRST)
    file = files.open_path(record.path)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    if damage == "removed":
        file.unlink()
    else:
        kinds = {"cut short": content[:-9], "a bit": content, "empty": bytearray()}
        file.write_bytes(kinds[damage])
    again = store_result(files, "1.2.3", made(LATER), LATER)
    assert files.open_path(again.path).read_bytes() == encode(made(LATER))
    assert again.size_bytes == len(encode(made(LATER)))
