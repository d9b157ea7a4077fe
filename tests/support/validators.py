"""Validators that are not ours: dciodvfy (Debian's dicom3tools)."""

from __future__ import annotations

import subprocess
from pathlib import Path

from support.tools import needed


def dciodvfy_errors(file: Path) -> list[str]:
    """Lines of dciodvfy that begin with Error; its exit status is 0 even then."""
    program = needed("dciodvfy", "dicom3tools")
    done = subprocess.run([program, str(file)], capture_output=True, text=True, check=False)
    return [line for line in done.stderr.splitlines() if line.startswith("Error")]
