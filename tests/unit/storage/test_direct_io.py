"""Files written past the page cache have the same bytes, or are written in the usual way."""

from __future__ import annotations

import errno
import mmap
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.direct_io import BLOCK, FileWriter
from storage.durable import DurableFiles

LARGE = 64 << 10


def in_pages(content: bytes) -> memoryview:
    memory = memoryview(mmap.mmap(-1, len(content) + BLOCK))[: len(content)]
    memory[:] = content
    return memory


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
    head=st.sampled_from([BLOCK, 2 * BLOCK, 480]),
)
def test_the_bytes_are_the_same_whatever_their_number(
    tmp_path_factory: pytest.TempPathFactory, size: int, head: int, opened: list[bool]
) -> None:
    parts = (os.urandom(head), in_pages(os.urandom(size)))
    file = tmp_path_factory.mktemp("files") / "file"
    FileWriter().write(file, parts, durable=True)
    assert file.read_bytes() == b"".join(parts)
    assert opened[-1] is (size >= LARGE and head % BLOCK == 0)


@pytest.mark.parametrize("body", [bytes(2 * LARGE), in_pages(bytes(2 * LARGE))[8:]])
def test_a_body_that_lies_elsewhere_is_written_in_the_usual_way(
    tmp_path: Path, body: bytes | memoryview, opened: list[bool]
) -> None:
    FileWriter().write(tmp_path / "file", (bytes(BLOCK), body), durable=False)
    assert (tmp_path / "file").read_bytes() == bytes(BLOCK) + bytes(body)
    assert opened == [False]


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
    writer, parts = FileWriter(), (bytes(BLOCK), in_pages(os.urandom(LARGE)))
    for name in "ab":
        writer.write(tmp_path / name, parts, durable=True)
        assert (tmp_path / name).read_bytes() == b"".join(parts)
    assert opened == [True, False, False]


def test_another_fault_is_told(tmp_path: Path) -> None:
    parts = (bytes(BLOCK), in_pages(bytes(LARGE)))
    with pytest.raises(FileNotFoundError):
        FileWriter().write(tmp_path / "missing" / "file", parts, durable=True)


def test_a_name_is_given_only_to_durable_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """POSIX makes no other order safe: data, then name, then the folder's entry, then return."""
    steps: list[str] = []
    for name in ("pwritev", "ftruncate", "fdatasync", "rename", "fsync"):
        really = getattr(os, name)

        def note(*arguments: Any, _name: str = name, _really: Any = really, **named: Any) -> Any:
            steps.append(_name)
            return _really(*arguments, **named)

        monkeypatch.setattr(os, name, note)
    files = DurableFiles(tmp_path / "root")
    steps.clear()
    files.put("ab/cd/name", (bytes(BLOCK), in_pages(bytes(LARGE + 1))))
    made_folders = ["fsync", "fsync"]
    written = ["pwritev", "ftruncate", "fdatasync"]
    assert steps == [*written, *made_folders, "rename", "fsync"]
    steps.clear()
    files.put("ab/cd/other", (b"small",))
    assert steps == ["pwritev", "fdatasync", "rename", "fsync"]
