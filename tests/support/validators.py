"""Validators that are not ours: dciodvfy (dicom3tools) and PixelMed's SR validator, from Debian.

dciodvfy cannot inflate: DCMTK does that for it.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pydicom
from pydicom.uid import DeflatedExplicitVRLittleEndian

from support.tools import missing, needed

_PIXELMED = Path("/usr/share/java/pixelmed.jar")
_UNLIMITED = [f"-Djdk.xml.xpath{name}Limit=0" for name in ("TotalOp", "ExprOp", "ExprGrp")]
"""Its style sheets are larger than Java's limits for what comes from strangers."""
_SHORT = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmn512m", "-Xss4m"]
"""For a program that ends before a better compiler pays: half the time."""


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


def pixelmed_lines(file: Path) -> list[str]:
    """All that PixelMed's DicomSRValidator says of a document; 5 seconds, mostly its start.

    It checks the IOD and, against PS3.16, the template that the root names.
    """
    java = needed("java", "default-jre-headless")
    if not _PIXELMED.exists():
        missing(_PIXELMED.name, "libpixelmed-java")
    jars = f"{_PIXELMED}:{_PIXELMED.parent}/*"
    command = [
        java,
        *_SHORT,
        *_UNLIMITED,
        "-cp",
        jars,
        "com.pixelmed.validate.DicomSRValidator",
        str(file),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    told = (done.stdout + done.stderr).splitlines()
    return [line for line in told if not line.startswith("SLF4J")]


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
