"""External programs that tests need: absent ones are named, and with CI set that is a failure."""

from __future__ import annotations

import os
import shutil

import pytest


def needed(program: str, package: str) -> str:
    """Path of a program from a Debian package; skips the test (fails with CI set) without it."""
    path = shutil.which(program)
    if path is None:
        text = f"{program} is missing: apt-get install {package}"
        if os.environ.get("CI"):
            pytest.fail(text)
        pytest.skip(text)
    return path
