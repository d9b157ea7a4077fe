"""A file is there whole or not at all, whatever happens while it is written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from inference.files import whole_file, write_json, write_whole


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    write_whole(path, b"old")
    with whole_file(path) as part:
        part.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_fault_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    write_whole(path, b"old")

    def break_off() -> None:
        with whole_file(path) as part:
            part.write_bytes(b"ne")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_bytes_are_on_the_disk_before_the_name_and_the_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the folder's fsync makes a name outlive a power cut."""
    path, synced = tmp_path / "weights", list[tuple[str, bool]]()
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append((Path(f"/proc/self/fd/{descriptor}").readlink().name, path.exists()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_whole(path, b"new")
    assert synced == [(".part-weights", False), (tmp_path.name, True)]


def test_what_is_no_json_is_refused_and_nothing_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "state.json", {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []
