"""Compressed pixels are what DCMTK makes of them: its encoders and decoders, in many layouts."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.uid import CTImageStorage

from dicomnode.dicom_files.headers import read_with_pixels
from dicomnode.dicom_files.pixels import decode_hu
from support.ct_headers import DATA
from support.dicom_files import dicom_file
from support.tools import needed

ROWS, COLUMNS = 33, 47


@dataclass(frozen=True)
class Layout:
    allocated: int
    stored: int
    signed: bool

    def values(self) -> NDArray[np.int64]:
        """All values that fit, as noise: the largest differences too, first and last among them."""
        low = -(1 << self.stored - 1) if self.signed else 0
        high = low + (1 << self.stored) - 1
        noise = np.random.default_rng(self.stored).integers(low, high + 1, (ROWS, COLUMNS))
        noise[0, :4] = low, high, low, high
        noise[1:12] = low  # a run longer than RLE has in one
        return noise


LAYOUTS = {
    "unsigned 8": Layout(8, 8, signed=False),
    "signed 8": Layout(8, 8, signed=True),
    "unsigned 8 of 16": Layout(16, 8, signed=False),
    "unsigned 12 of 16": Layout(16, 12, signed=False),
    "signed 12 of 16": Layout(16, 12, signed=True),
    "signed 13 of 16": Layout(16, 13, signed=True),
    "unsigned 16": Layout(16, 16, signed=False),
    "signed 16": Layout(16, 16, signed=True),
}

NEAR = "JPEG-LS near-lossless"
"""DCMTK encodes no signed pixels so."""

LOSSLESS = {
    "JPEG lossless SV1": "dcmcjpeg +e1 dcmdjpeg",
    **{f"JPEG lossless {n}": f"dcmcjpeg +el +sv {n} dcmdjpeg" for n in range(1, 8)},
    "JPEG lossless in fragments": "dcmcjpeg +e1 +fs 1 dcmdjpeg",
    "JPEG lossless without offsets": "dcmcjpeg +e1 -ot dcmdjpeg",
    "JPEG-LS": "dcmcjpls +el dcmdjpls",
    "JPEG-LS padded by zero": "dcmcjpls +el +pz dcmdjpls",
    "JPEG-LS in fragments": "dcmcjpls +el +fs 1 dcmdjpls",
    "RLE": "dcmcrle dcmdrle",
    "RLE in fragments": "dcmcrle +fs 1 dcmdrle",
}
LOSSY = {
    "JPEG lossless, point transform": "dcmcjpeg +el +pt 2 dcmdjpeg",
    "JPEG baseline": "dcmcjpeg +eb dcmdjpeg",
    "JPEG extended": "dcmcjpeg +ee dcmdjpeg",
    "JPEG extended 12 bits": "dcmcjpeg +ee +bt dcmdjpeg",
    "JPEG spectral selection": "dcmcjpeg +es +bt dcmdjpeg",
    "JPEG full progression": "dcmcjpeg +ep +bt +q 60 dcmdjpeg",
    NEAR: "dcmcjpls +en dcmdjpls",
}


@pytest.mark.parametrize(
    ("way", "layout"),
    [
        pytest.param(way, name, marks=() if name == quick else pytest.mark.long)
        for way in (*LOSSLESS, *LOSSY)
        for quick in ["unsigned 12 of 16" if way == NEAR else "signed 12 of 16"]
        for name, layout in LAYOUTS.items()
        if not (way == NEAR and layout.signed)
    ],
)
def test_equal_pixels(tmp_path: Path, way: str, layout: str) -> None:
    plain = written(tmp_path, LAYOUTS[layout])
    *encode, decode = (LOSSLESS | LOSSY)[way].split()
    coded, back = tmp_path / "coded.dcm", tmp_path / "back.dcm"
    run(*encode, plain, coded)
    run(decode, coded, back)
    assert read_with_pixels(coded)[1] != read_with_pixels(back)[1]
    ours = hu(coded)
    assert np.array_equal(ours, hu(back))
    if way in LOSSLESS:
        assert np.array_equal(ours, hu(plain))
        assert len(np.unique(ours)) > 100


REAL = {
    **{
        f"jpeg_{name}": "dcmdjpeg"
        for name in ("baseline", "extended", "full_progression", "lossless", "lossless_sv1")
    },
    "jpeg_spectral_selection": "dcmdjpeg",
    "jpeg_ls_lossless": "dcmdjpls",
    "jpeg_ls_near_lossless": "dcmdjpls",
    "rle_lossless": "dcmdrle",
}


@pytest.mark.parametrize("name", REAL)
def test_equal_pixels_of_a_real_slice(tmp_path: Path, name: str) -> None:
    coded = DATA / "transfer_syntaxes" / f"{name}.dcm"
    run(REAL[name], coded, tmp_path / "back.dcm")
    assert np.array_equal(hu(coded), hu(tmp_path / "back.dcm"))


def run(program: str, *arguments: str | Path) -> None:
    subprocess.run([needed(program, "dcmtk"), *map(str, arguments)], check=True)


def hu(path: Path) -> NDArray[np.int16]:
    return decode_hu(*read_with_pixels(path))


def written(folder: Path, layout: Layout) -> Path:
    def short(value: int) -> bytes:
        return value.to_bytes(2, "little")

    values = layout.values().astype("<i8").astype(f"<u{layout.allocated // 8}")
    pixels = values.tobytes()
    return dicom_file(
        folder,
        {
            "SOPClassUID": CTImageStorage.encode() + b"\0",
            "PhotometricInterpretation": b"MONOCHROME2 ",
            "Rows": short(ROWS),
            "Columns": short(COLUMNS),
            "BitsAllocated": short(layout.allocated),
            "BitsStored": short(layout.stored),
            "HighBit": short(layout.stored - 1),
            "PixelRepresentation": short(int(layout.signed)),
            "RescaleIntercept": b"0 ",
            "PixelData": pixels + b"\0" * (len(pixels) % 2),
        },
    )
