"""Comparing slices by their pixels: copies of each other, and acquisitions that overlap.

Only slices at the place of another one are read here, before the decision.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dicomnode.decisions.eligibility.candidate import overlapping_slices
from dicomnode.decisions.instance_header import InstanceHeader, SliceKey
from dicomnode.decisions.stack.copies import possible_copies
from dicomnode.decisions.stack.overlaps import Pair
from dicomnode.dicom_files.frames import EncodedSlice, read_slices
from dicomnode.dicom_files.pixels import decode_hu
from dicomnode.errors import DataError

BLOCK = 8
"""Pixels: the mean of so many by so many has little noise left."""

BODY_HU = -950.0
"""Blocks of more are no air."""

_AIR_HU, _BONE_HU = -1024, 400
"""Beyond these all is air, or metal and bone: padding and metal would weigh too much."""


def with_digests_of_possible_copies(
    headers: Sequence[InstanceHeader], files: Mapping[str, Path]
) -> list[InstanceHeader]:
    """Headers with `pixel_data_sha256` where another slice may be the same.

    `files`: by SOP Instance UID. Those whose pixels are no pixels have none: a rule, or the
    decoding, says so.

    Raises:
        OSError
    """
    suspects = possible_copies(headers)
    digests: dict[SliceKey, str] = {}
    for uid in sorted({uid for uid, _ in suspects}):
        digests |= {each.key: digest(each) for each in _slices(files[uid])}
    return [
        replace(each, pixel_data_sha256=digests.get(each.slice_key, ""))
        if each.slice_key in suspects
        else each
        for each in headers
    ]


def differences_of_overlaps(
    headers: Sequence[InstanceHeader], files: Mapping[str, Path]
) -> dict[Pair, float]:
    """What `judge_eligibility` wants to know of slices at common places, HU.

    A pair of which one cannot be decoded is absent.

    Raises:
        OSError
    """
    pairs = overlapping_slices(headers)
    read = _read_means({key for pair in pairs for key in pair}, files)
    return {(a, b): _difference(read[a], read[b]) for a, b in pairs if a in read and b in read}


def digest(encoded: EncodedSlice) -> str:
    """SHA-256 (hex) of the pixels in HU, whatever the encoding; of the encoded ones where they
    cannot be decoded."""
    try:
        pixels = decode_hu(encoded.header, encoded.pixel_data).tobytes()
    except DataError:
        pixels = bytes(encoded.pixel_data)
    return hashlib.sha256(pixels).hexdigest()


def difference_hu(a: NDArray[np.int16], b: NDArray[np.int16]) -> float:
    """Root mean square of the difference of block means within the body of either slice.

    Slices are (rows, columns). Infinite where they have other sizes; 0 for air.
    """
    return _difference(_block_means(a), _block_means(b))


def _difference(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    if a.shape != b.shape:
        return float("inf")
    body = np.maximum(a, b) > BODY_HU
    return float(np.sqrt(np.mean((a - b)[body] ** 2))) if body.any() else 0.0


def _block_means(hu: NDArray[np.int16]) -> NDArray[np.float32]:
    """(rows / 8, columns / 8); what is left over at the ends does not count."""
    rows, columns = (side // BLOCK for side in hu.shape)
    whole = np.clip(hu[: rows * BLOCK, : columns * BLOCK], _AIR_HU, _BONE_HU)
    blocks = whole.reshape(rows, BLOCK, columns, BLOCK)
    return np.asarray(blocks.mean((1, 3)), np.float32)


def _read_means(
    wanted: Collection[SliceKey], files: Mapping[str, Path]
) -> dict[SliceKey, NDArray[np.float32]]:
    found: dict[SliceKey, NDArray[np.float32]] = {}
    for uid in sorted({uid for uid, _ in wanted}):
        for each in _slices(files[uid]):
            if each.key in wanted:
                try:
                    found[each.key] = _block_means(decode_hu(each.header, each.pixel_data))
                except DataError:
                    continue
    return found


def _slices(file: Path) -> list[EncodedSlice]:
    try:
        return read_slices(file)
    except DataError:
        return []
