"""A file that several processes append lines to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dicomnode.shared_file import SharedFile, full_files
from support.wait import PATIENCE_SECONDS

WRITER = """
import sys
from pathlib import Path
from dicomnode.shared_file import SharedFile
file = SharedFile(Path(sys.argv[1]), most_bytes=4000, kept=1000)
for number in range(400):
    file.append(f"{sys.argv[2]} {number} {'x' * 50}\\n".encode())
"""


def test_lines_of_several_processes_are_all_there_whole_and_in_order(tmp_path: Path) -> None:
    file = tmp_path / "node.log"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(file), name]) for name in ("a", "b")
    ]
    assert [each.wait(PATIENCE_SECONDS) for each in writers] == [0, 0]
    shared = SharedFile(file, 4000, 1000)
    files = [path for _number, path in shared.numbered()]
    shared.close()
    lines = [line for path in files for line in path.read_text().splitlines()]
    assert len(files) > 2
    for name in ("a", "b"):
        numbers = [int(line.split()[1]) for line in lines if line.startswith(name)]
        assert numbers == list(range(400))
    assert {len(line.split()[2]) for line in lines} == {50}


def test_a_full_file_gets_a_number_once_and_the_oldest_go(tmp_path: Path) -> None:
    shared = SharedFile(tmp_path / "audit.log", most_bytes=10, kept=2)
    for number in range(5):
        shared.append(b"line %d....\n" % number)
    assert [number for number, _path in full_files(shared.path)] == [4, 5]
    shared.append(b"next\n")
    numbered = shared.numbered()
    shared.close()
    assert [number for number, _path in numbered] == [4, 5, 6]
    assert numbered[-1][1].read_bytes() == b"next\n"


def test_a_file_that_others_rotate_is_opened_anew(tmp_path: Path) -> None:
    """As logrotate does, with `create` or without; it tells nobody."""
    shared = SharedFile(tmp_path / "node.log", most_bytes=0, kept=1)
    shared.append(b"first\n")
    shared.path.rename(tmp_path / "node.log-20260101")
    shared.append(b"second\n")
    shared.close()
    assert shared.path.read_bytes() == b"second\n"
    assert (tmp_path / "node.log-20260101").read_bytes() == b"first\n"


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "node.log").mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        SharedFile(tmp_path / "node.log", 0, 1).append(b"x\n")


def test_no_link_is_followed(tmp_path: Path) -> None:
    """Root runs commands of a node too, in a folder that is not root's."""
    (tmp_path / "passwd").write_text("root\n")
    for name in ("audit.log", "other.log.lock"):
        (tmp_path / name).symlink_to(tmp_path / "passwd")
    for name in ("audit.log", "other.log"):
        with pytest.raises(OSError, match="symbolic link"):
            SharedFile(tmp_path / name, 0, 1).append(b"x\n")
    assert (tmp_path / "passwd").read_text() == "root\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away: needs root")
def test_what_root_makes_is_its_folders_owners(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12346)
    file = SharedFile(tmp_path / "audit" / "audit.log", 0, 1)
    file.append(b"x\n")
    file.close()
    made = [tmp_path / "audit", *(tmp_path / "audit").iterdir()]
    assert len(made) == 3
    assert {(each.stat().st_uid, each.stat().st_gid) for each in made} == {(12345, 12346)}
