"""A file system of a few megabytes, that fills."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A tmpfs mounted on `folder`; only root may mount (as root a refusal fails with CI set)."""
    folder.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("to mount a small file system takes root and mount(8)")
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        missing = f"a tmpfs cannot be mounted here: {mounted.stderr.strip()}"
        if "CI" in os.environ:
            pytest.fail(missing)
        pytest.skip(missing)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


class Ballast:
    """A file that takes all the room of a disk, and gives it back."""

    def __init__(self, disk: Path) -> None:
        self._file = disk / "ballast"

    def load(self) -> None:
        """Until not a byte is left."""
        with self._file.open("ab") as file:
            step = 1 << 20
            while step >= 1 << 12:  # a page
                at = file.seek(0, os.SEEK_END)
                try:
                    os.posix_fallocate(file.fileno(), at, step)
                except OSError:
                    step >>= 1

    def drop(self) -> None:
        self._file.unlink(missing_ok=True)
