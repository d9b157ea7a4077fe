"""The wheel: all that the product needs is in it, and it starts with its own packages alone."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from support.sources import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from what git tracks: nothing that lies about gets in."""
    folder = tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if not name.startswith(("tests/", "findings/")) and (ROOT / name).is_file():
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "source" / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    built = subprocess.run(
        [*command, "--wheel-dir", str(folder), str(folder / "source")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (found,) = folder.glob("*.whl")
    return found


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    source = wheel.parent / "source"
    wanted = {
        str(path.relative_to(source))
        for package in ("dicomnode", "inference", "storage")
        for path in (source / package).rglob("*")
        if path.is_file()
    }
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert inside == wanted


def test_what_is_installed_from_the_wheel_runs_away_from_its_source(
    wheel: Path, tmp_path: Path
) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    done = run("model", "list", "--json", python_path=str(tmp_path / "installed"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "installed" / "inference") in done.stdout


@pytest.mark.parametrize("name", ["inference", "storage"])
def test_another_package_under_our_name_is_told_and_nothing_begins(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("")
    done = run("--version", python_path=f"{tmp_path}:{ROOT}", cwd=ROOT)
    assert done.returncode == 2
    assert f"another package {name} hides the one of dicomnode: it is at {tmp_path}" in done.stderr
    assert "Traceback" not in done.stderr


def run(*arguments: str, python_path: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """With this path before that of the environment, and nothing from where it is run."""
    return subprocess.run(
        [sys.executable, "-m", "dicomnode", *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": python_path, "PYTHONSAFEPATH": "1", "HOME": str(cwd)},
        capture_output=True,
        text=True,
        check=False,
    )
