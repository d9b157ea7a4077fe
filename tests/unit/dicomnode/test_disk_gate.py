"""The watermark: refused below one mark, taken again only above the other."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.decisions.arrival.disk import DiskPolicy, DiskSpace, fits, judge_disk
from dicomnode.disk_gate import DiskGate, disk_space

POLICY = DiskPolicy(refuse_below_bytes=100, resume_above_bytes=200)


@pytest.mark.parametrize(
    ("free", "refusing", "expected"),
    [
        (99, False, True),
        (100, False, False),
        (150, False, False),
        (150, True, True),
        (199, True, True),
        (200, True, False),
        (0, False, True),
    ],
)
def test_between_the_marks_it_stays_as_it_was(free: int, refusing: bool, expected: bool) -> None:
    assert judge_disk(DiskSpace(free, 1000), refusing, POLICY).refusing is expected


@given(frees=st.lists(st.integers(0, 400), max_size=60))
def test_it_changes_only_by_crossing_a_mark(frees: list[int]) -> None:
    refusing = False
    for free in frees:
        now = judge_disk(DiskSpace(free, 1000), refusing, POLICY).refusing
        if now != refusing:
            assert free < 100 if now else free >= 200
        assert now or free >= 100
        refusing = now


def test_the_reason_bears_the_figures_and_the_key() -> None:
    verdict = judge_disk(DiskSpace(3 << 20, 5 << 30), False, DiskPolicy())
    assert verdict.why == (
        "3.0 MiB of 5.00 GiB are free, less than 1.00 GiB (disk.refuse_below_bytes)"
    )


def test_an_instance_that_would_reach_below_the_mark_does_not_fit() -> None:
    space = DiskSpace(150, 1000)
    assert fits(0, space, POLICY)
    assert fits(50, space, POLICY)
    assert not fits(51, space, POLICY)


@pytest.mark.parametrize(("refuse", "resume"), [(-1, 5), (10, 9)])
def test_marks_that_make_no_sense_are_refused(refuse: int, resume: int) -> None:
    with pytest.raises(ValueError, match="refuse_below_bytes"):
        DiskPolicy(refuse_below_bytes=refuse, resume_above_bytes=resume)


def test_the_space_is_that_of_the_file_system(tmp_path: Path) -> None:
    found, asked = disk_space(tmp_path), os.statvfs(tmp_path)
    assert found.total_bytes == asked.f_blocks * asked.f_frsize
    assert 0 < found.free_bytes <= found.total_bytes


def test_the_gate_refuses_what_does_not_fit_and_lets_the_rest_in(tmp_path: Path) -> None:
    free = disk_space(tmp_path).free_bytes
    gate = DiskGate(tmp_path, DiskPolicy(free // 2, free // 2))
    assert gate.refuses(1000) is None
    assert "do not fit" in (gate.refuses(free) or "")
    assert gate.refuses() is None


def test_what_was_let_in_and_not_written_is_found_out_by_another_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let in at once: half of what may be taken, three times. Nothing of it was written."""
    looks: list[Path] = []

    def counted(folder: Path) -> DiskSpace:
        looks.append(folder)
        return DiskSpace(1000, 2000)

    monkeypatch.setattr("dicomnode.disk_gate.disk_space", counted)
    monkeypatch.setattr("dicomnode.disk_gate.LOOK_SECONDS", 3600.0)
    gate = DiskGate(tmp_path, DiskPolicy(200, 300))
    assert [gate.refuses(400) for _ in range(2)] == [None, None]
    assert len(looks) == 1
    assert gate.refuses(400) is None
    assert len(looks) == 2
    assert gate.refuses(801) == "801 bytes do not fit: 0.0 MiB of 0.0 MiB are free"


def test_a_folder_that_is_gone_is_a_refusal(tmp_path: Path) -> None:
    gate = DiskGate(tmp_path / "gone", DiskPolicy(0, 0))
    assert gate.refuses() == "the disk cannot be asked: No such file or directory"


def test_a_gate_that_refuses_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dicomnode.disk_gate.LOOK_SECONDS", 0.0)
    gate = DiskGate(tmp_path, DiskPolicy(1 << 60, 1 << 60))
    with caplog.at_level(logging.INFO, "dicomnode.disk_gate"):
        assert all("are free" in (gate.refuses() or "") for _ in range(3))
    (told,) = caplog.records
    assert told.levelno == logging.WARNING
    assert "GiB are free" in told.getMessage()
