"""Files of results: the bytes that were first under a UID stay."""

from __future__ import annotations

import errno
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dicomnode.deliver.result_store import store_result, store_results
from dicomnode.results.build import ResultObject, build_results, encode
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


def test_several_are_stored_as_each_alone(files: ResultFiles, tmp_path: Path) -> None:
    results = build_results(context())
    records = store_results(files, "1.2.3", results, FIRST)
    alone = ResultFiles(tmp_path / "alone")
    assert records == [store_result(alone, "1.2.3", each, FIRST) for each in results]
    for record, result in zip(records, results, strict=True):
        assert files.open_path(record.path).read_bytes() == encode(result)


def test_one_that_cannot_be_stored_is_a_fault_of_all(
    files: ResultFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = build_results(context())
    real = encode

    def full(result: ResultObject) -> bytes:
        if result is results[3]:
            raise OSError(errno.ENOSPC, "no space")
        return real(result)

    monkeypatch.setattr("dicomnode.deliver.result_store.encode", full)
    with pytest.raises(OSError, match="no space"):
        store_results(files, "1.2.3", results, FIRST)


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
