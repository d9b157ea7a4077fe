"""Files are whole and durable under their final name, or not there at all."""

from __future__ import annotations

import hashlib
import os
import random
import re
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.errors import UnsafePathError
from storage.instances import InstanceFiles, StoredFile
from storage.results import ResultFiles
from support.wait import PATIENCE_SECONDS

HEAD = bytes(128) + b"DICM" + b"meta"
HOSTILE = st.one_of(
    st.text(max_size=80),
    st.from_regex(r"([0-9a-f]{2})/[0-9a-f]{32}/[0-9a-f]{32}-[0-9a-f]{16}\.dcm\n?", fullmatch=True),
    st.lists(
        st.sampled_from(["..", ".", "/", "", "etc", "\0", "~", "ab", "ab" * 16]), max_size=6
    ).map("/".join),
)
WRITER = """
import os, random, sys
from pathlib import Path
from storage.instances import InstanceFiles
files, head = InstanceFiles(Path(sys.argv[1])), bytes(128) + b"DICM" + b"meta"
print(flush=True)
for number in range(10_000):
    content = os.urandom(random.randrange(1, 300_000))
    files.store(f"1.2.{number % 7}", f"1.{os.getpid()}.{number}", head, content)
"""
FULL_DISK = """
import resource, sys
from pathlib import Path
from storage.instances import InstanceFiles
files = InstanceFiles(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    files.store("1.2", "1.3", b"head", bytes(1_000_000))
except OSError as error:
    print(error.errno)
"""


def everything(root: Path) -> list[str]:
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())


def child(script: str, root: Path) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", script, str(root)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def test_an_instance_is_stored_under_digests_of_its_names(tmp_path: Path) -> None:
    files = InstanceFiles(tmp_path / "new" / "instances")
    stored = files.store("1.2.DOE", "1.3.JANE", HEAD, memoryview(b"data set"))
    assert stored == StoredFile(stored.path, 144, hashlib.sha256(b"data set").hexdigest(), False)
    assert files.open_path(stored.path).read_bytes() == HEAD + b"data set"
    series, sop = (hashlib.sha256(uid).hexdigest() for uid in (b"1.2.DOE", b"1.3.JANE"))
    assert stored.path == f"{series[:2]}/{series[:32]}/{sop[:32]}-{stored.sha256[:16]}.dcm"
    assert everything(files.open_path(stored.path).parents[2]) == [stored.path]


@pytest.mark.parametrize("durable", [True, False])
def test_the_same_data_set_is_not_written_again(tmp_path: Path, durable: bool) -> None:
    files = InstanceFiles(tmp_path)
    first = files.store("1.2", "1.3", HEAD, b"data set", durable)
    written = files.open_path(first.path).stat()
    again = files.store("1.2", "1.3", b"another sender's head", b"data set", durable)
    assert again == StoredFile(first.path, first.size_bytes, first.sha256, existed=True)
    assert files.open_path(first.path).stat().st_ino == written.st_ino
    assert files.open_path(first.path).read_bytes() == HEAD + b"data set"


def test_other_content_under_the_same_uid_is_kept_beside_it(tmp_path: Path) -> None:
    files = InstanceFiles(tmp_path)
    paths = {files.store("1.2", "1.3", HEAD, content).path for content in (b"one", b"two")}
    assert len(paths) == 2
    assert set(files.iter_paths()) == paths


def test_no_one_else_may_read_the_files(tmp_path: Path) -> None:
    files = InstanceFiles(tmp_path / "instances")
    path = files.open_path(files.store("1.2", "1.3", HEAD, b"data").path)
    modes = [each.stat().st_mode & 0o007 for each in (path, *list(path.parents)[:3])]
    assert modes == [0, 0, 0, 0]


def test_only_final_files_of_ours_are_listed(tmp_path: Path) -> None:
    files = InstanceFiles(tmp_path)
    stored = files.store("1.2", "1.3", HEAD, b"data")
    for foreign in ("incoming/x.part", "notes.txt", f"{stored.path[:35]}/copy.dcm"):
        (tmp_path / foreign).write_bytes(b"")
    assert list(files.iter_paths()) == [stored.path]


def test_leftovers_are_removed_by_age_and_final_files_never(tmp_path: Path) -> None:
    files = InstanceFiles(tmp_path)
    stored = files.store("1.2", "1.3", HEAD, b"data")
    now = datetime.now(UTC)
    for name, age in (("old", 3600), ("young", 10)):
        path = tmp_path / "incoming" / f"{name}.part"
        path.touch()
        moment = (now - timedelta(seconds=age)).timestamp()
        os.utime(path, (moment, moment))
    assert files.remove_leftovers(now - timedelta(seconds=60)) == 1
    assert everything(tmp_path) == sorted([stored.path, "incoming/young.part"])


def test_a_file_is_removed_once_and_may_come_again(tmp_path: Path) -> None:
    files = InstanceFiles(tmp_path)
    path = files.store("1.2", "1.3", HEAD, b"data").path
    for _ in range(2):
        files.remove(path)
        assert list(files.iter_paths()) == []
    files.open_path(path).parent.rmdir()
    files.remove(path)
    assert files.store("1.2", "1.3", HEAD, b"data").path == path


@settings(
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(path=HOSTILE)
def test_a_path_is_inside_the_folder_or_refused(tmp_path: Path, path: str) -> None:
    files = InstanceFiles(tmp_path)
    try:
        opened = files.open_path(path)
    except UnsafePathError:
        return
    assert re.fullmatch(r"[0-9a-f/.\-dcm]+", path)
    assert path[:2] == path[3:5]
    assert opened.resolve().is_relative_to(tmp_path.resolve())


@settings(
    max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(series=st.text(max_size=100), sop=st.text(max_size=100))
def test_no_uid_however_odd_leads_out_of_the_folder(tmp_path: Path, series: str, sop: str) -> None:
    root = tmp_path / "root"
    for stored in (
        InstanceFiles(root).store(series, sop, HEAD, b"data", durable=False).path,
        ResultFiles(root).store(series, sop, b"data"),
    ):
        assert (root / stored).is_file()
    assert list(tmp_path.iterdir()) == [root]


def test_a_link_that_leads_outside_is_not_followed(tmp_path: Path) -> None:
    files = InstanceFiles(tmp_path / "root")
    path = files.store("1.2", "1.3", HEAD, b"data").path
    located = files.open_path(path)
    located.unlink()
    located.symlink_to(tmp_path / "outside")
    with pytest.raises(UnsafePathError, match="leads out"):
        files.open_path(path)


def test_threads_that_bring_the_same_instance_leave_one_whole_file(tmp_path: Path) -> None:
    files, content = InstanceFiles(tmp_path), os.urandom(200_000)
    threads = [
        threading.Thread(target=files.store, args=("1.2", "1.3", HEAD, content)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (path,) = everything(tmp_path)
    assert (tmp_path / path).read_bytes() == HEAD + content


def test_a_writer_that_is_killed_leaves_no_half_file_under_a_final_name(tmp_path: Path) -> None:
    pauses = random.Random(7)
    for _ in range(6):
        writer = child(WRITER, tmp_path)
        assert writer.stdout is not None
        writer.stdout.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            writer.wait(pauses.uniform(0.02, 0.3))
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
    files = InstanceFiles(tmp_path)
    paths = list(files.iter_paths())
    assert len(paths) > 10
    for path in paths:
        content = files.open_path(path).read_bytes()
        assert content.startswith(HEAD)
        assert hashlib.sha256(content[len(HEAD) :]).hexdigest()[:16] == path[-20:-4]
    files.remove_leftovers(datetime.now(UTC) + timedelta(seconds=60))
    assert everything(tmp_path) == paths


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    writer = child(FULL_DISK, tmp_path)
    output, _ = writer.communicate(timeout=PATIENCE_SECONDS)
    assert output.strip() == "27"  # EFBIG: the limit on a file's size stands for the full disk
    assert everything(tmp_path) == []


def test_a_result_is_replaced_in_one_step(tmp_path: Path) -> None:
    files = ResultFiles(tmp_path)
    first = files.store("1.2", "2.25.1", b"report")
    inode = files.open_path(first).stat().st_ino
    assert files.store("1.2", "2.25.1", b"report") == first
    assert files.open_path(first).read_bytes() == b"report"
    assert files.open_path(first).stat().st_ino != inode
    files.remove(first)
    assert everything(tmp_path) == []
    assert files.remove_leftovers(datetime.now(UTC)) == 0


@pytest.mark.parametrize("path", ["", "../x", "/etc/passwd", "ab/" + "ab" * 16 + "/x.dcm"])
def test_a_path_that_is_no_result_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(UnsafePathError):
        ResultFiles(tmp_path).open_path(path)
