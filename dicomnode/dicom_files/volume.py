"""From the files of a series to its `CtVolume`: decoded, in Hounsfield units, in stack order."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dicomnode.decisions.instance_header import SliceKey
from dicomnode.decisions.stack.geometry import SliceStack
from dicomnode.dicom_files.frames import EncodedSlice, read_slices
from dicomnode.dicom_files.pixels import decode_hu, read_layout
from dicomnode.errors import DataError
from inference.memory import Memory, key_of
from inference.volume import CtVolume

MAX_VOXELS = 800_000_000
"""1.6 GB of HU: more than 3,000 slices of 512 x 512, more than 700 of 1024 x 1024."""


def load_volume(
    paths: Sequence[Path],
    stack: SliceStack,
    workers: int = 4,
    max_voxels: int = MAX_VOXELS,
    memory: Memory | None = None,
) -> CtVolume:
    """Decodes the slices of `stack` with `workers` threads (the decoders release the GIL).

    `paths`: the files of the series in any order; files of other instances are left out. The
    volume's slices are in the order of `stack.headers`, its affine is that of the stack. What
    `memory` holds is not decoded; it then holds the slices of this volume, which are not copied,
    if they are no more than half of what it may hold.

    Raises:
        DataError: `pixel_data` or `rescale` with the SOP Instance UID and what is wrong with it,
            `volume_size` when the volume would hold more than `max_voxels`, `geometry` when the
            stack has no affine, `dicom_file` when a file is no DICOM, `instance_missing` when a
            slice has none, `sop_instance_uid` when two slices bear the same.
    """
    index_of = {header.slice_key: index for index, header in enumerate(stack.headers)}
    into = _Slices(np.empty(_shape(stack, max_voxels), np.int16), index_of, memory or Memory())
    if len(index_of) < len(stack.headers):
        text = f"{len(stack.headers)} slices, but {len(index_of)} SOP Instance UIDs"
        raise DataError("sop_instance_uid", text, "another in every instance")
    files = dict.fromkeys(paths)  # one file holds many slices of a multi-frame instance
    # two pools: a file that waits for its frames must not keep them from being decoded
    with ThreadPoolExecutor(workers, "read") as readers, ThreadPoolExecutor(workers) as decoders:
        loaded = readers.map(lambda path: _load_file(path, into, decoders), files)
        found = {index for indices in loaded for index in indices}
    missing = [key for key, index in index_of.items() if index not in found]
    if missing:
        raise DataError("instance_missing", f"no file for {missing[0][0]} ({len(missing)} in all)")
    return CtVolume(into.hu, np.array(stack.affine, np.float64))


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


@dataclass(frozen=True, eq=False)
class _Slices:
    """Where decoded slices go: `hu`, int16 (slices, rows, columns)."""

    hu: NDArray[np.int16]
    index_of: dict[SliceKey, int]
    memory: Memory

    def load(self, encoded: EncodedSlice) -> int:
        """One slice; its index."""
        uid, frame = encoded.key
        name = uid if frame is None else f"{uid} frame {frame}"
        index = self.index_of[encoded.key]
        try:
            self._decode(encoded, self.hu[index])
        except DataError as error:
            raise DataError(error.rule, f"{name}: {error.value}", error.limit) from error
        return index

    def _decode(self, encoded: EncodedSlice, into: NDArray[np.int16]) -> None:
        remembers = bool(self.memory.series)
        layout = read_layout(encoded.header)
        key = key_of("hu", repr(layout), encoded.pixel_data) if remembers else None
        pixels = self.memory.get(key) if key else None
        if pixels is None:
            pixels = decode_hu(encoded.header, encoded.pixel_data)
        if pixels.shape != into.shape:
            raise DataError("pixel_data", f"{pixels.shape} pixels", f"{into.shape}")
        into[:] = pixels
        if key and self.hu.nbytes <= self.memory.limit / 2:
            self.memory.keep(key, into)


def _load_file(path: Path, into: _Slices, decoders: Executor) -> list[int]:
    """Decodes the slices of one file that are of the stack; their indices."""
    slices = [each for each in read_slices(path) if each.key in into.index_of]
    if len(slices) == 1:
        return [into.load(slices[0])]
    return list(decoders.map(into.load, slices))
