"""Data sets put together in memory or in a file: the same bytes, and bounded memory."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicomnode.fast_scp.data_set_buffer import DataSetBuffer
from storage.durable import GrowingFile
from storage.instances import InstanceFiles

ROOM = 512
LIMIT = 3 << 20


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 2 << 20), max_size=8), st.booleans())
def test_fragments_become_the_data_set(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], spills: bool
) -> None:
    files = InstanceFiles(tmp_path_factory.mktemp("files"))
    buffer = DataSetBuffer((lambda: files.grow(ROOM)) if spills else None, LIMIT)
    for _again in range(2):
        parts = [bytes([number % 251]) * size for number, size in enumerate(sizes)]
        for part in parts:
            buffer.append(memoryview(part))
        view, content = buffer.finish()
        assert view == b"".join(parts)
        assert isinstance(content, GrowingFile) == (spills and sum(sizes) > LIMIT)
        buffer.reset()


def test_a_big_one_is_stored_from_its_file(tmp_path: Path) -> None:
    files = InstanceFiles(tmp_path)
    buffer = DataSetBuffer(lambda: files.grow(ROOM), LIMIT)
    block = memoryview(bytes(range(256)) * 1024)
    for _ in range(40):
        buffer.append(block)
    _view, content = buffer.finish()
    assert isinstance(content, GrowingFile)
    stored = files.store("1.2", "1.3", b"h" * ROOM, content)
    buffer.reset()
    assert files.open_path(stored.path).read_bytes() == b"h" * ROOM + bytes(block) * 40
    assert list((tmp_path / "incoming").iterdir()) == []
    again = files.store("1.2", "1.3", b"h" * ROOM, bytes(block) * 40)
    assert (again.existed, again.sha256, again.size_bytes) == (True, stored.sha256, 10486272)


def test_one_that_is_given_up_leaves_no_file(tmp_path: Path) -> None:
    files = InstanceFiles(tmp_path)
    buffer = DataSetBuffer(lambda: files.grow(ROOM), LIMIT)
    for _ in range(5):
        buffer.append(memoryview(bytes(1 << 20)))
    assert len(list((tmp_path / "incoming").iterdir())) == 1
    buffer.reset()
    assert list((tmp_path / "incoming").iterdir()) == []


def test_a_disk_that_is_full_costs_only_that_data_set(tmp_path: Path) -> None:
    def full() -> GrowingFile:
        raise OSError(errno.ENOSPC, "No space left on device")

    buffer = DataSetBuffer(full, LIMIT)
    for _ in range(12):
        buffer.append(memoryview(bytes(1 << 20)))
    with pytest.raises(OSError, match="No space left"):
        buffer.finish()
    buffer.reset()
    buffer.append(memoryview(b"small"))
    assert bytes(buffer.finish()[0]) == b"small"


def test_a_view_that_is_kept_gives_an_error_and_not_the_next_ones_bytes() -> None:
    buffer = DataSetBuffer(None)
    buffer.append(memoryview(b"first"))
    kept, _content = buffer.finish()
    buffer.reset()
    with pytest.raises(ValueError, match="released"):
        bytes(kept)
