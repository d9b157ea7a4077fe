"""What decoding costs: ms of processor time a slice, in each encoding, now and before.

`python tests/benchmarks/decode.py [FILE]` takes the uncompressed slice of a DICOM file (default: a
real one of 512 x 512 pixels of 16 bits) and encodes it in each way. In turns
it is decoded as the product does, and by what pydicom finds installed, as the product did before:
pip install pylibjpeg pylibjpeg-openjpeg python-gdcm. "two threads": as many times as quick as one.
"""

from __future__ import annotations

import argparse
import struct
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import UID, RLELossless

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from dicomnode.dicom_files.codecs import decode_frame  # noqa: E402
from dicomnode.dicom_files.codestreams import CodedImage  # noqa: E402
from dicomnode.dicom_files.frames import read_slices  # noqa: E402
from dicomnode.dicom_files.headers import read_headers_file  # noqa: E402
from dicomnode.dicom_files.pixels import decode_hu  # noqa: E402

ROUNDS, EACH = 7, 5
DATA = ROOT / "tests" / "data" / "transfer_syntaxes"
Work = Callable[[], object]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path, default=DATA / "implicit_vr.dcm")
    path = parser.parse_args().file
    pixels = dcmread(path).pixel_array
    rows, columns = pixels.shape
    wanted = CodedImage(rows, columns, 8 * pixels.dtype.itemsize)
    print("| encoding | KB | now, ms | before, ms | times | equal pixels | two threads |")
    print("|---|---|---|---|---|---|---|")
    for name, (syntax, coded) in encoded(pixels).items():
        row(name, syntax, coded, wanted)
    print("\n| file | header, ms | header and Pixel Data, ms | Pixel Data to HU, ms |")
    print("|---|---|---|---|")
    for file in (path, DATA / "jpeg_lossless_sv1.dcm"):
        (slice_,) = read_slices(file)
        works: tuple[Work, ...] = (
            lambda file=file: read_headers_file(file),  # type: ignore[misc]
            lambda file=file: read_slices(file),  # type: ignore[misc]
            lambda one=slice_: decode_hu(one.header, one.pixel_data),  # type: ignore[misc]
        )
        print(f"| {file.name} | " + " | ".join(f"{ms:.2f}" for ms in in_turns(*works)) + " |")


def encoded(pixels: NDArray[Any]) -> dict[str, tuple[str, bytes]]:
    """The same pixels in each encoding; with no sign where an encoder knows none."""
    bare, number = pixels.view(f"u{pixels.dtype.itemsize}"), "1.2.840.10008.1.2.4.".__add__
    twelve = np.clip(pixels.astype(int) - int(pixels.min()), 0, 4095).astype(np.uint16)
    rle = get_encoder(RLELossless).encode(
        pixels.tobytes(), rows=pixels.shape[0], columns=pixels.shape[1], samples_per_pixel=1,
        photometric_interpretation="MONOCHROME2", bits_allocated=16, bits_stored=16,
        pixel_representation=1, number_of_frames=1,
    )  # fmt: skip
    made: dict[str, tuple[str, Any]] = {
        "JPEG lossless": (
            number("70"),
            imagecodecs.jpeg8_encode(bare, lossless=True, bitspersample=16),
        ),
        "JPEG extended, 12 bits": (
            number("51"),
            imagecodecs.jpeg8_encode(twelve, bitspersample=12),
        ),
        "JPEG-LS": (number("80"), imagecodecs.jpegls_encode(bare)),
        "JPEG 2000": (number("90"), imagecodecs.jpeg2k_encode(pixels, codecformat="J2K", level=0)),
        "HTJ2K": (number("201"), imagecodecs.htj2k_encode(pixels)),
        "JPEG XL": (number("110"), imagecodecs.jpegxl_encode(bare, lossless=True)),
        "RLE": ("1.2.840.10008.1.2.5", rle),
    }
    return {name: (syntax, bytes(coded)) for name, (syntax, coded) in made.items()}


def row(name: str, syntax: str, coded: bytes, wanted: CodedImage) -> None:
    def now() -> NDArray[Any]:
        return decode_frame(coded, syntax, wanted)

    old = before(syntax, coded, wanted)
    works = (now,) if old is None else (now, old)
    ours, *others = in_turns(*works)
    former = "– | – | –"
    if old is not None:
        equal = np.array_equal(now().view(np.uint16), old().view(np.uint16))
        former = f"{others[0]:.1f} | {others[0] / ours:.1f} | {'yes' if equal else 'NO'}"
    print(f"| {name} | {len(coded) / 1000:.0f} | {ours:.1f} | {former} | {two_threads(now):.2f} |")


def before(syntax: str, coded: bytes, wanted: CodedImage) -> Callable[[], NDArray[Any]] | None:
    """The decoding by pydicom's plug-ins, None where none of them can."""
    value = encapsulate([coded], has_bot=False) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    options: dict[str, Any] = {
        "rows": wanted.rows, "columns": wanted.columns, "number_of_frames": 1,
        "samples_per_pixel": 1, "photometric_interpretation": "MONOCHROME2",
        "bits_allocated": wanted.bits, "bits_stored": wanted.bits, "pixel_representation": 1,
        "pixel_keyword": "PixelData",
    }  # fmt: skip

    def decode() -> NDArray[Any]:
        return get_decoder(UID(syntax)).as_array(value, index=0, raw=True, **options)[0]

    try:
        decode()
    except (NotImplementedError, RuntimeError):
        return None
    return decode


def in_turns(*works: Work) -> list[float]:
    """Median processor time of each, ms: in turns, so that what else runs here slows all alike."""
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(ROUNDS):
        for work, times in zip(works, taken, strict=True):
            begun = time.process_time()
            for _ in range(EACH):
                work()
            times.append(1000 * (time.process_time() - begun) / EACH)
    return [float(np.median(times)) for times in taken]


def two_threads(work: Work) -> float:
    """Quotient of wall times, one thread through two; the best of several."""
    best = 0.0
    with ThreadPoolExecutor(2) as pool:
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            for _ in range(2 * EACH):
                work()
            alone = time.perf_counter() - begun
            begun = time.perf_counter()
            for done in [pool.submit(work) for _ in range(2 * EACH)]:
                done.result()
            best = max(best, alone / (time.perf_counter() - begun))
    return best


if __name__ == "__main__":
    main()
