"""What the analysis of a series asks of a worker, as its headers tell."""

from __future__ import annotations

from collections.abc import Sequence

from dicomnode.decisions.instance_header import InstanceHeader

_BASE_BYTES = 1280 << 20
_BYTES_A_VOXEL = 5
_STEP_BYTES = 256 << 20
"""Estimates differ in steps, so that few differ at all."""


def estimated_memory(headers: Sequence[InstanceHeader]) -> int:
    """Bytes that a worker has at its peak with these slices, models and all: an upper estimate.

    Measured with both shipped methods on a CPU, 512 x 512 (tests/benchmarks/RESULTS.md): 1.2 GiB
    with 64 slices, 1.5 with 300, 2.3 with 1094, that is 1.1 GiB and 4.3 bytes a voxel.
    """
    voxels = sum((each.rows or 0) * (each.columns or 0) for each in headers)
    exact = _BASE_BYTES + _BYTES_A_VOXEL * voxels
    return -(-exact // _STEP_BYTES) * _STEP_BYTES
