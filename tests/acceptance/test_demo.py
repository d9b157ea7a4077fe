"""`dicomnode demo`: what the README's first command shows and leaves behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pydicom
import pytest
from PIL import Image

from dicomnode.errors import ConfigurationError
from dicomnode.offline.demo import parse_peer
from support.data import PHILIPS
from support.orthanc import running_orthanc
from support.validators import dciodvfy_errors

WARNING = "DEMONSTRATION – trained on simulated lesions, no clinical meaning"


def run_demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dicomnode", "demo", "--out", str(folder), *arguments],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.mark.long
def test_the_demo_shows_the_whole_way(tmp_path: Path) -> None:
    out = tmp_path / "demo-output"
    done = run_demo(out)
    assert done.returncode == 0, done.stdout + done.stderr
    for told in (
        *WARNING.split(" lesions, "),
        "philips_5mm_noncontrast",
        "analysed",
        "Slice thickness: 8 mm (asked for: at most 5 mm)",
        "slices of 5 mm; a node's own is 3",
        "Localizer",
    ):
        assert told in done.stdout
    check_what_it_left(out)
    check_the_queue_can_be_asked_afterwards(out)


def check_what_it_left(out: Path) -> None:
    analysed = out / "results" / "philips_5mm_noncontrast"
    assert len(list(analysed.glob("*.dcm"))) == 14
    objects = sorted((out / "results").rglob("*.dcm"))  # on a slow machine with the others' notes
    assert [error for file in objects for error in dciodvfy_errors(file)] == []
    received = {str(pydicom.dcmread(f).SOPInstanceUID) for f in (out / "pacs").glob("*.dcm")}
    assert received == {str(pydicom.dcmread(f).SOPInstanceUID) for f in objects}
    report = (analysed / "01-sr.txt").read_text()
    assert report.index(WARNING) < report.index("Image Library")
    with Image.open(analysed / "02-montage.png") as montage:
        assert min(montage.size) > 500
    assert WARNING in (out / "node.log").read_text()
    source = pydicom.dcmread(PHILIPS[0], stop_before_pixels=True)
    assert str(source.PatientName) not in (out / "node.log").read_text()


def check_the_queue_can_be_asked_afterwards(out: Path) -> None:
    command = [sys.executable, "-m", "dicomnode", "queue", "list", "--json"]
    done = subprocess.run(
        [*command, "--config", str(out / "dicomnode.toml")],
        capture_output=True,
        text=True,
        check=True,
    )
    states = sorted(row["state"] for row in json.loads(done.stdout))
    assert states == ["analysed", "skipped", "skipped"]


@pytest.mark.long
def test_the_demo_with_a_real_pacs_over_what_an_earlier_demo_left(tmp_path: Path) -> None:
    leftover = tmp_path / "out" / "results" / "99-old.dcm"
    leftover.parent.mkdir(parents=True)
    leftover.touch()
    (tmp_path / "out" / ".dicomnode-demo").touch()
    node = parse_peer("127.0.0.1:11112:DICOMNODE")
    with running_orthanc(tmp_path / "orthanc", node) as orthanc:
        peer = orthanc.peer
        done = run_demo(tmp_path / "out", "--pacs", f"127.0.0.1:{peer.port}:{peer.ae_title}")
        assert done.returncode == 0, done.stdout + done.stderr
        left = list((tmp_path / "out" / "results").rglob("*.dcm"))
        assert len(orthanc.get("/instances")) == len(left) >= 14
    assert not leftover.exists()


def test_a_pacs_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    done = run_demo(tmp_path / "out", "--pacs", "127.0.0.1:1:NOBODY")
    assert done.returncode == 1
    assert "cannot be reached" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_no_demo_left_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "dicomnode.toml").write_text("a site's own configuration")
    (tmp_path / "results" / "mine").write_text("keep")
    done = run_demo(tmp_path)
    assert done.returncode == 2
    assert (tmp_path / "results" / "mine").read_text() == "keep"


@pytest.mark.parametrize("text", ["", "host", "host:104", "host:abc:AET", "h:104:" + 17 * "A"])
def test_a_pacs_that_is_no_peer_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--pacs"):
        parse_peer(text)
