"""Which software computes a network: OpenVINO on a CPU where it is installed, else PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from inference.backends.openvino_graph import package
from inference.errors import DeviceError

if TYPE_CHECKING:
    import torch

Backend = Literal["auto", "openvino", "torch"]
"""What computes; `auto` is OpenVINO on a CPU where it is installed, else torch."""


def available() -> bool:
    """Whether OpenVINO is installed here."""
    try:
        package()
    except ImportError:
        return False
    return True


def takes_openvino(backend: Backend, device: torch.device) -> bool:
    """Whether OpenVINO computes; `auto` takes it on a CPU where it is installed.

    Raises:
        DeviceError: it is asked for and cannot be.
    """
    if backend == "torch" or (backend == "auto" and device.type != "cpu"):
        return False
    there = available()
    if backend == "openvino" and device.type != "cpu":
        raise DeviceError('engine openvino: runs on the CPU; set device = "cpu"')
    if backend == "openvino" and not there:
        raise DeviceError("engine openvino: the package openvino is not installed")
    return there
