"""Validators that are not ours: dciodvfy (Debian's dicom3tools).

It cannot inflate: DCMTK does that for it.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pydicom
from pydicom.uid import DeflatedExplicitVRLittleEndian

from support.tools import needed


def dciodvfy_errors(file: Path) -> list[str]:
    """Lines of dciodvfy that begin with Error; its exit status is 0 even then."""
    return [line for line in dciodvfy_lines(file) if line.startswith("Error")]


def dciodvfy_lines(file: Path) -> list[str]:
    """All that dciodvfy says of a file, with errors and warnings."""
    program = needed("dciodvfy", "dicom3tools")
    with inflated(file) as readable:
        done = subprocess.run(
            [program, str(readable)],
            capture_output=True,
            text=True,
            check=False,
            errors="replace",
        )
    return (done.stdout + done.stderr).splitlines()


@contextmanager
def inflated(file: Path) -> Iterator[Path]:
    """The file, or while it is needed a copy of it that is not deflated."""
    meta = pydicom.filereader.read_file_meta_info(file)
    if meta.TransferSyntaxUID != DeflatedExplicitVRLittleEndian:
        yield file
        return
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "inflated.dcm"
        subprocess.run([needed("dcmconv", "dcmtk"), "+te", str(file), str(copy)], check=True)
        yield copy
