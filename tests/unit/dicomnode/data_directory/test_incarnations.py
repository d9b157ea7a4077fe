"""A restart is told from a copy: by the directory that was held, and the boot of the machine."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dicomnode.data_directory import incarnations
from dicomnode.data_directory.holding import only_one
from dicomnode.data_directory.incarnations import (
    SILENCE,
    StillHeardError,
    check_former_is_over,
    starts_of,
)
from storage.overview_records import Node

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
HERE = Path("/var/lib/dicomnode")


def hold(folder: Path) -> str:
    with only_one(folder):
        return starts_of(folder).word


def test_each_time_that_it_is_held_is_a_start_and_the_former_one_is_over(tmp_path: Path) -> None:
    assert starts_of(tmp_path).word == ""
    first, second = hold(tmp_path), hold(tmp_path)
    found = starts_of(tmp_path)
    assert first != second == found.word
    assert found.is_ours(f"{first}/word")
    assert found.is_ours(f"{second}/word")
    assert found.is_ours(""), "an earlier release says nothing"
    assert not found.is_ours("strange/word")


def test_of_a_copy_the_start_it_was_copied_from_may_live(tmp_path: Path) -> None:
    first = hold(tmp_path / "data")
    shutil.copytree(tmp_path / "data", tmp_path / "copy")
    assert not starts_of_held(tmp_path / "copy").is_ours(first)
    assert starts_of_held(tmp_path / "data").is_ours(first)


def starts_of_held(folder: Path) -> incarnations.Starts:
    hold(folder)
    return starts_of(folder)


@pytest.mark.parametrize("boot", ["another", ""])
def test_after_the_machine_was_started_anew_it_is_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, boot: str
) -> None:
    """It may be a clone. Nor is it where the kernel does not tell which boot it is."""
    if not boot:
        monkeypatch.setattr(incarnations, "_BOOT", tmp_path / "none")
    first = hold(tmp_path / "data")
    (tmp_path / "boot").write_text(boot)
    monkeypatch.setattr(incarnations, "_BOOT", tmp_path / "boot")
    assert not starts_of_held(tmp_path / "data").is_ours(first)


def test_few_starts_are_kept(tmp_path: Path) -> None:
    for _ in range(60):
        incarnations.begin(tmp_path)
    assert len(starts_of(tmp_path).known) == 50


@pytest.mark.parametrize(
    ("mark", "silent", "left", "passes"),
    [
        ("other/word", timedelta(seconds=1), False, False),
        ("other/word", SILENCE + timedelta(seconds=1), False, True),
        ("other/word", timedelta(seconds=1), True, True),
        ("other/ended", timedelta(seconds=1), False, True),
        ("", timedelta(seconds=1), False, True),
    ],
)
def test_who_is_heard_of_elsewhere_is_not_passed_over(
    tmp_path: Path, mark: str, silent: timedelta, left: bool, passes: bool
) -> None:
    node = Node("n" * 32, "ct-1", NOW, NOW - silent, NOW if left else None, True, mark=mark)
    starts = starts_of_held(tmp_path)
    if passes:
        check_former_is_over(node, starts, HERE, NOW)
        return
    with pytest.raises(StillHeardError, match="it runs on ct-1, and was started on") as found:
        check_former_is_over(node, starts, HERE, NOW)
    assert f"here, with {HERE}" in str(found.value)
    assert found.value.mark == mark
