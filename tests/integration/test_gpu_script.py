"""The checks that need a GPU, rehearsed without one."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from support.former import FILTER
from support.wait import PATIENCE_SECONDS

SCRIPT = Path(__file__).parents[1] / "gpu.sh"


def _run(*arguments: str, script: Path = SCRIPT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(script), *arguments],
        env=os.environ | {"PYTHON": sys.executable, "OMP_WAIT_POLICY": "passive"},
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_SECONDS,
        check=False,
    )


@pytest.mark.long
def test_the_rehearsal_on_a_processor_passes_from_the_packed_folder(tmp_path: Path) -> None:
    packed = tmp_path / "gpu.tar.gz"
    assert _run("--pack", str(packed)).returncode == 0
    assert packed.stat().st_size < 4 << 20
    with tarfile.open(packed) as archive:
        archive.extractall(tmp_path / "bare", **FILTER)  # noqa: S202 - our own
    done = _run("--cpu", script=tmp_path / "bare" / "tests" / "gpu.sh")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 SKIPPED, 0 FAILED" in done.stdout


@pytest.mark.long
def test_one_check_can_be_rehearsed_and_nothing_is_not_all() -> None:
    done = _run("--cpu", "--only", "tiles")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 ok, 0 SKIPPED, 0 FAILED" in done.stdout
    none = _run("--cpu", "--only", "no such check")
    assert none.returncode == 2


def test_a_check_that_fails_fails_the_script_and_hides_no_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from gpu import __main__ as script
    from gpu.setting import SkippedError

    def broken(_: object) -> str:
        raise AssertionError("apart")

    def skipped(_: object) -> str:
        raise SkippedError("no such package")

    checks = {"one": broken, "two": skipped, "three": lambda _: "well"}
    monkeypatch.setattr(script, "CHECKS", checks)
    monkeypatch.setattr(sys, "argv", ["gpu", "--cpu"])
    assert script.main() == 1
    told = capsys.readouterr().out
    assert "AssertionError: apart" in told
    assert "SKIPPED" in told
    assert "1 ok, 1 SKIPPED, 1 FAILED" in told
