"""Series that are damaged as they are in hospitals: nothing else hinders their analysis."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import JPEGLSLossless

from support.phantom import write_series

SLICES = 10
"""The fewest that may be analysed."""

_SERIES_INSTANCE_UID = b"\x20\x00\x0e\x00UI"
_ROWS = b"\x28\x00\x10\x00US"


ENDINGS = {
    "one slice": ("skipped", "slice_count", "1"),
    "no pixel spacing": ("skipped", "pixel_spacing", "absent"),
    "garbage pixels": ("failed", "pixel_data", "JPEG-LS Lossless Image Compression: "),
    "half images": ("failed", "pixel_data", "cut short"),
    "one slice cut in its pixels": ("skipped", "pixel_data", "cut short in 1 of 11 instances"),
    "one slice cut in its header": ("skipped", "dicom_file", "the file ends within"),
}
"""State of each damaged series, a rule that fails for it, and what its value says."""


def no_pixel_spacing(data_set: Dataset, _number: int) -> None:
    del data_set.PixelSpacing


def garbage_pixels(data_set: Dataset, _number: int) -> None:
    """JPEG-LS by its transfer syntax and its first and last marker; what is between is none."""
    _encapsulate(data_set, b"\xff\xd8" + bytes(range(256)) * 4 + b"\xff\xd9")


def half_images(data_set: Dataset, _number: int) -> None:
    """Whole fragments, but the compressed image in them ends half way."""
    data_set.compress(JPEGLSLossless, generate_instance_uid=False)
    frame = get_frame(data_set.PixelData, 0, number_of_frames=1)
    _encapsulate(data_set, frame[: len(frame) // 4 * 2])


def _encapsulate(data_set: Dataset, frame: bytes) -> None:
    data_set.file_meta.TransferSyntaxUID = JPEGLSLossless
    data_set.PixelData = encapsulate([frame], has_bot=False)
    data_set["PixelData"].VR = "OB"
    data_set["PixelData"].is_undefined_length = True


def cut_pixels(file: Path) -> None:
    """The file ends within its Pixel Data."""
    file.write_bytes(file.read_bytes()[:-1000])


def cut_header(file: Path) -> None:
    """The file ends before its Rows, after the UIDs that tell the series."""
    content = file.read_bytes()
    file.write_bytes(content[: content.index(_ROWS) - 3])


def cut_identity(file: Path) -> None:
    """The file ends before its Series Instance UID."""
    content = file.read_bytes()
    file.write_bytes(content[: content.index(_SERIES_INSTANCE_UID) - 3])


def write_damaged_series(folder: Path) -> dict[str, list[Path]]:
    """The files of each damaged series, by the kind of damage."""
    damaged = {
        "one slice": write_series(folder / "one", 1),
        "no pixel spacing": write_series(folder / "spacing", SLICES, change=no_pixel_spacing),
        "garbage pixels": write_series(folder / "garbage", SLICES, change=garbage_pixels),
        "half images": write_series(folder / "half", SLICES, change=half_images),
        "one slice cut in its pixels": write_series(folder / "pixels", SLICES + 1),
        "one slice cut in its header": write_series(folder / "header", SLICES + 1),
    }
    cut_pixels(damaged["one slice cut in its pixels"][4])
    cut_header(damaged["one slice cut in its header"][4])
    return damaged
