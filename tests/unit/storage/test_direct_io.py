"""Files written past the page cache have the same bytes, or are written in the usual way."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.direct_io import BLOCK, FileWriter, whole_blocks
from storage.durable import DurableFiles

LARGE = 64 << 10


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each file that was made was opened for direct writing."""
    made: list[bool] = []
    open_really = os.open

    def note(path: Any, flags: int, *rest: Any, **others: Any) -> int:
        if flags & os.O_CREAT:
            made.append(bool(flags & os.O_DIRECT))
        return open_really(path, flags, *rest, **others)

    monkeypatch.setattr(os, "open", note)
    return made


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    size=st.one_of(
        st.integers(1, 3 * LARGE),
        st.builds(
            lambda blocks, off: blocks * BLOCK + off, st.integers(16, 40), st.integers(-2, 2)
        ),
    ),
    head=st.sampled_from([BLOCK, 2 * BLOCK, 480, None]),
)
def test_the_bytes_are_the_same_whatever_their_number(
    tmp_path_factory: pytest.TempPathFactory, size: int, head: int | None, opened: list[bool]
) -> None:
    room = whole_blocks(480, size) if head is None else head
    parts = (os.urandom(room), os.urandom(size))
    file = tmp_path_factory.mktemp("files") / "file"
    FileWriter().write(str(file), parts, durable=True)
    assert file.read_bytes() == b"".join(parts)
    assert opened[-1] is (room + size >= LARGE and (room + size) % BLOCK == 0)


@given(room=st.integers(0, 3 * BLOCK), size=st.integers(0, 1 << 30))
def test_a_head_fills_the_last_block_and_no_more(room: int, size: int) -> None:
    length = whole_blocks(room, size)
    assert room <= length < room + BLOCK
    assert (length + size) % BLOCK == 0


def test_more_than_one_piece_is_written_in_order(tmp_path: Path, opened: list[bool]) -> None:
    parts = (os.urandom(BLOCK + 6), os.urandom((1 << 20) + 2 * BLOCK - 6), os.urandom(1 << 20))
    FileWriter().write(str(tmp_path / "file"), parts, durable=True)
    assert (tmp_path / "file").read_bytes() == b"".join(parts)
    assert opened == [True]


def test_a_file_system_that_refuses_is_asked_once(
    tmp_path: Path, opened: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    open_really = os.open

    def refuse(path: Any, flags: int, *rest: Any, **others: Any) -> int:
        descriptor = open_really(path, flags, *rest, **others)
        if flags & os.O_DIRECT:
            os.close(descriptor)
            raise OSError(errno.EINVAL, "no direct writes here")  # made, and yet refused
        return descriptor

    monkeypatch.setattr(os, "open", refuse)
    writer, parts = FileWriter(), (bytes(BLOCK), os.urandom(LARGE))
    for name in "ab":
        writer.write(str(tmp_path / name), parts, durable=True)
        assert (tmp_path / name).read_bytes() == b"".join(parts)
    assert opened == [True, False, False]


def test_another_fault_is_told(tmp_path: Path) -> None:
    parts = (bytes(BLOCK), bytes(LARGE))
    with pytest.raises(FileNotFoundError):
        FileWriter().write(str(tmp_path / "missing" / "file"), parts, durable=True)


def test_a_name_is_given_only_to_durable_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """POSIX makes no other order safe: data, then name, then the folder's entry, then return."""
    steps: list[str] = []
    for name in ("pwritev", "fdatasync", "rename", "fsync"):
        really = getattr(os, name)

        def note(*arguments: Any, _name: str = name, _really: Any = really, **named: Any) -> Any:
            steps.append(_name)
            return _really(*arguments, **named)

        monkeypatch.setattr(os, name, note)
    files = DurableFiles(tmp_path / "root")
    steps.clear()
    files.put("ab/cd/name", (bytes(BLOCK), bytes(LARGE)))
    made_folders = ["fsync", "fsync"]
    assert steps == ["pwritev", "fdatasync", *made_folders, "rename", "fsync"]
    steps.clear()
    files.put("ab/cd/other", (b"small",))
    assert steps == ["pwritev", "fdatasync", "rename", "fsync"]
