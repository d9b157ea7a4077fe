"""External programs that tests need: absent ones are named, and with CI set that is a failure."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest


def needed(program: str, package: str) -> str:
    """Path of a program from a Debian package; skips the test (fails with CI set) without it.

    The virtual environment is passed over: pynetdicom brings programs named as DCMTK's there.
    """
    own = Path(sys.executable).parent
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    elsewhere = [folder for folder in folders if Path(folder) != own]
    path = shutil.which(program, path=os.pathsep.join(elsewhere))
    return path or missing(program, package)


def promtool(*arguments: str, read: str = "") -> str:
    """What Prometheus' own tool said when something was wrong; "" when nothing was. `read`: on its
    standard input."""
    command = [needed("promtool", "prometheus"), *arguments]
    done = subprocess.run(
        command, input=read, capture_output=True, text=True, check=False, timeout=300
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def npm_folder(package: str) -> Path:
    """The folder in whose `node_modules` a package from npm lies; as `needed` without it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "dicomnode-tests" / "npm"
    if shutil.which("node") is None or not (folder / "node_modules" / package).is_dir():
        _give_up(f"{package} is missing: etc/npm-packages.sh installs it where npm is")
    return folder


def missing(what: str, package: str) -> NoReturn:
    """Skip the test, or with CI set fail it, and say what to install."""
    _give_up(f"{what} is missing: apt-get install {package}")


def _give_up(text: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(text)
    pytest.skip(text)
