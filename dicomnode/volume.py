"""From the files of a series to its `CtVolume`: decoded, in Hounsfield units, in stack order."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dicomnode.attributes import AttributeReader
from dicomnode.decisions.geometry import SliceStack
from dicomnode.errors import DataError
from dicomnode.headers import read_with_pixels
from dicomnode.pixels import decode_hu
from inference.volume import CtVolume

MAX_VOXELS = 800_000_000
"""1.6 GB of HU: more than 3,000 slices of 512 x 512, more than 700 of 1024 x 1024."""


def load_volume(
    paths: Sequence[Path], stack: SliceStack, workers: int = 4, max_voxels: int = MAX_VOXELS
) -> CtVolume:
    """Decodes the slices of `stack` with `workers` threads (most decoders release the GIL).

    `paths`: the files of the series in any order; files of other instances are left out. The
    volume's slices are in the order of `stack.headers`, its affine is that of the stack.
    Raises DataError: `pixel_data` or `rescale` with the SOP Instance UID and what is wrong with
    it, `volume_size` when the volume would hold more than `max_voxels`, `geometry` when the stack
    has no affine, `dicom_file` when a file is no DICOM, `instance_missing` when a slice has none,
    `sop_instance_uid` when two slices bear the same.
    """
    hu = np.empty(_shape(stack, max_voxels), np.int16)  # (slices, rows, columns)
    index_of = {h.sop_instance_uid: index for index, h in enumerate(stack.headers)}
    if len(index_of) < len(stack.headers):
        told = f"{len(stack.headers)} slices, but {len(index_of)} SOP Instance UIDs"
        raise DataError("sop_instance_uid", told, "another in every instance")
    with ThreadPoolExecutor(workers, "decode") as pool:
        found = set(pool.map(lambda path: _load_slice(path, index_of, hu), paths))
    missing = [uid for uid, index in index_of.items() if index not in found]
    if missing:
        raise DataError("instance_missing", f"no file for {missing[0]} ({len(missing)} in all)")
    return CtVolume(hu, np.array(stack.affine, np.float64))


def _shape(stack: SliceStack, max_voxels: int) -> tuple[int, int, int]:
    if stack.affine is None:
        problems = ", ".join(problem.value for problem in stack.problems)
        raise DataError("geometry", problems or "no affine")
    sizes = {(header.rows, header.columns) for header in stack.headers}
    rows, columns = sizes.pop()
    if sizes or rows is None or columns is None:
        raise DataError("geometry", "Rows and Columns are missing or differ")
    shape = (len(stack.headers), rows, columns)
    if shape[0] * rows * columns > max_voxels:
        found = f"{shape[0]} slices of {rows} x {columns}"
        raise DataError("volume_size", found, f"at most {max_voxels} voxels")
    return shape


def _load_slice(path: Path, index_of: dict[str, int], hu: NDArray[np.int16]) -> int | None:
    """Decodes one file into its place in `hu`; None when it is not of the stack."""
    data_set, value = read_with_pixels(path)
    uid = AttributeReader(data_set).uid("SOPInstanceUID")
    index = index_of.get(uid)
    if index is None:
        return None
    try:
        pixels = decode_hu(data_set, value)  # (rows, columns)
    except DataError as error:
        raise DataError(error.rule, f"{uid}: {error.value}", error.limit) from error
    if pixels.shape != hu.shape[1:]:
        raise DataError("pixel_data", f"{uid}: {pixels.shape} pixels", f"{hu.shape[1:]}")
    hu[index] = pixels
    return index
