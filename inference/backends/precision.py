"""In which precision networks compute: float32, or bfloat16 where it is native and proven.

The name of an engine here: `openvino`, `cuda` (PyTorch on a GPU) or `torch` (PyTorch on a CPU).
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from inference.errors import DeviceError

if TYPE_CHECKING:
    import torch

    from inference.backends.choice import Backend
    from inference.backends.device import Device

Precision = Literal["f32", "f16", "bf16"]
AskedPrecision = Literal["auto", "f32", "bf16"]
EngineName = Literal["openvino", "cuda", "torch"]

_INSTRUCTIONS = frozenset({"amx_bf16", "avx512_bf16"})
"""Without them a processor with AVX-512 computes bfloat16 by way of float32, and no quicker."""
_MASKS = ("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2", "AVX512_CORE", "AVX512_CORE_VNNI")
"""Of ONEDNN_MAX_CPU_ISA, those without bfloat16: OpenVINO cannot compile for it under them."""
_CPU, _GPU_DRIVER = Path("/proc/cpuinfo"), Path("/proc/driver/nvidia/version")


@dataclass(frozen=True)
class PrecisionWish:
    """How the networks of a bundle may compute.

    `proven`: the engines on which its card proves bfloat16; `bundle`: its name, for a person.
    """

    asked: AskedPrecision = "auto"
    proven: frozenset[str] = frozenset()
    bundle: str = "the bundle"

    def on(self, engine: EngineName, *, half_on_gpu: bool = False) -> Precision:
        """What is computed in on an engine.

        `half_on_gpu`: the networks compute in float16 on a GPU, where nothing else is asked for;
        bfloat16 is no quicker there and has three bits less.

        Raises:
            DeviceError: bfloat16 is asked for and cannot be, or must not; says all that is missing.
        """
        if self.asked == "f32":
            return "f32"
        if self.asked == "auto":
            if half_on_gpu and engine == "cuda":
                return "f16"
            return "f32" if self.missing(engine) else "bf16"
        if missing := self.missing(engine):
            raise DeviceError(f"precision bf16: {self.bundle}: {'; '.join(missing)}")
        return "bf16"

    def missing(self, engine: EngineName, *, at_sight: bool = False) -> tuple[str, ...]:
        """What bfloat16 lacks on an engine, each in a sentence: hardware, proof.

        `at_sight`: as far as can be told without loading the engine.
        """
        hardware = lacking_at_sight(engine) or ("" if at_sight else _lacking(engine))
        proof = f"its card has no proof for the engine {engine} that is within its tolerance"
        return tuple(filter(None, [hardware, "" if engine in self.proven else proof]))


USUAL = PrecisionWish()
"""Without any proof: float32, and on a GPU what the network computes in there."""


def lacking_at_sight(engine: EngineName) -> str:
    """Why this machine does not compute in bfloat16 natively, by the processor's own words.

    "" where it does, or where the engine must be asked.
    """
    if engine == "torch":
        return "PyTorch on a CPU computes in float32 only here"
    if engine == "openvino" and not _processor()[1] & _INSTRUCTIONS:
        return "the processor has no instructions for bfloat16 (AMX-BF16 or AVX512-BF16)"
    if engine == "openvino" and os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper() in _MASKS:
        return "ONEDNN_MAX_CPU_ISA leaves the processor's instructions for bfloat16 aside"
    return ""


def _lacking(engine: EngineName) -> str:
    """The same, as the engine tells."""
    if engine == "cuda":
        import torch

        there = torch.cuda.is_available()
        native = there and torch.cuda.is_bf16_supported(including_emulation=False)
        return "" if native else "there is no GPU that computes bfloat16 natively"
    from inference.backends.openvino_graph import package

    known = package().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "" if "BF16" in known else "OpenVINO does not compute in bfloat16 here"


def engine_on(backend: Backend, device: torch.device) -> EngineName:
    """What computes on a device.

    Raises:
        DeviceError: as `takes_openvino`.
    """
    from inference.backends.choice import takes_openvino

    if takes_openvino(backend, device):
        return "openvino"
    return "cuda" if device.type == "cuda" else "torch"


def likely_engine(device: Device, backend: Backend) -> EngineName:
    """The engine that the node's settings come to, as far as can be told without torch."""
    if device == "cuda" or (device == "auto" and backend != "openvino" and _GPU_DRIVER.exists()):
        return "cuda"
    return "torch" if backend == "torch" or find_spec("openvino") is None else "openvino"


def described(engine: EngineName) -> tuple[str, str]:
    """The version of an engine's software, and the name of the processor that it computes on."""
    if engine == "openvino":
        return version("openvino"), _processor()[0]
    import torch

    if engine == "cuda":
        return torch.__version__, torch.cuda.get_device_name()
    return torch.__version__, _processor()[0]


@cache
def _processor() -> tuple[str, frozenset[str]]:
    """Its name and the names of its extensions, as Linux has them; else those of nobody."""
    try:
        lines = _CPU.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    parts = (line.partition(":") for line in lines)
    told = {name.strip(): value.strip() for name, _, value in parts}
    return told.get("model name", platform.machine()), frozenset(told.get("flags", "").split())
