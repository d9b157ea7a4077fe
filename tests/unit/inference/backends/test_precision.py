"""The choice of a precision: the hardware, the proof on the card, and what is asked for."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from inference.backends import precision
from inference.backends.openvino_graph import package
from inference.backends.precision import (
    AskedPrecision,
    EngineName,
    PrecisionWish,
    described,
    engine_on,
    lacking_at_sight,
    likely_engine,
)
from inference.backends.streams import Streams
from inference.errors import DeviceError

NO_PROOF = "its card has no proof for the engine openvino that is within its tolerance"
NO_HARDWARE = "the processor has no instructions for bfloat16 (AMX-BF16 or AVX512-BF16)"


def _wish(asked: AskedPrecision, proven: bool, engine: str = "openvino") -> PrecisionWish:
    return PrecisionWish(asked, frozenset({engine} if proven else ()), "COVNet 1")


def _machine(monkeypatch: pytest.MonkeyPatch, *flags: str) -> None:
    """A processor with these extensions, of which the engines say nothing else."""
    monkeypatch.setattr(precision, "_processor", lambda: ("Any CPU", frozenset(flags)))
    monkeypatch.setattr(precision, "_lacking", lambda _engine: "")


@pytest.mark.parametrize(("mask", "used"), [("AVX2", "f32"), ("AVX512_CORE_BF16", "bf16")])
def test_instructions_that_are_masked_are_none(
    monkeypatch: pytest.MonkeyPatch, mask: str, used: str
) -> None:
    """OpenVINO 2026.4.1 cannot compile for bfloat16 under such a mask."""
    _machine(monkeypatch, "avx512_bf16")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", mask)
    assert _wish("auto", proven=True).on("openvino") == used


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("proven", [True, False])
@pytest.mark.parametrize("asked", ["auto", "f32", "bf16"])
def test_bf16_is_computed_in_where_it_is_native_and_proven_or_refused(
    monkeypatch: pytest.MonkeyPatch, asked: AskedPrecision, proven: bool, native: bool
) -> None:
    _machine(monkeypatch, *(["amx_bf16"] if native else ["avx512f"]))
    wish = _wish(asked, proven)
    if asked == "f32":
        assert wish.on("openvino") == "f32"
    elif native and proven:
        assert wish.on("openvino") == "bf16"
    elif asked == "auto":
        assert wish.on("openvino") == "f32"
    else:
        missing = [*([] if native else [NO_HARDWARE]), *([] if proven else [NO_PROOF])]
        with pytest.raises(DeviceError) as caught:
            wish.on("openvino")
        assert str(caught.value) == f"precision bf16: COVNet 1: {'; '.join(missing)}"


@pytest.mark.parametrize(
    ("asked", "proven", "methods", "lungs"),
    [
        ("auto", False, "f16", "f32"),
        ("auto", True, "f16", "bf16"),  # as quick as float16, which has three bits more
        ("f32", True, "f32", "f32"),
        ("bf16", True, "bf16", "bf16"),
    ],
)
def test_on_a_gpu_methods_stay_in_float16_until_something_else_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
    asked: AskedPrecision,
    proven: bool,
    methods: str,
    lungs: str,
) -> None:
    _machine(monkeypatch)
    wish = _wish(asked, proven, "cuda")
    assert (wish.on("cuda", half_on_gpu=True), wish.on("cuda")) == (methods, lungs)


def test_a_proof_is_of_one_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    _machine(monkeypatch, "avx512_bf16")
    assert _wish("auto", True, "cuda").on("openvino") == "f32"


def test_without_a_gpu_that_has_it_the_engine_cuda_lacks_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="there is no GPU that computes bfloat16 natively"):
        _wish("bf16", True, "cuda").on("cuda")


def test_openvino_has_the_last_word_of_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its kernels may be kept from the instructions (ONEDNN_MAX_CPU_ISA)."""
    known = package().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    monkeypatch.setattr(precision, "_processor", lambda: ("Any CPU", frozenset({"amx_bf16"})))
    assert _wish("auto", True).on("openvino") == ("bf16" if "BF16" in known else "f32")
    assert _wish("auto", True).missing("openvino", at_sight=True) == ()


def test_torch_on_a_cpu_computes_in_float32() -> None:
    wish = PrecisionWish("bf16", frozenset({"openvino", "cuda"}), "COVNet 1")
    with pytest.raises(DeviceError, match="PyTorch on a CPU computes in float32"):
        wish.on("torch")


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("model name\t: A : B\nflags\t\t: fpu avx512_bf16 amx_tile\n", ""),
        ("model name\t: A : B\nflags\t\t: fpu avx512f avx512_vnni\n", NO_HARDWARE),
        ("processor\t: 0\nFeatures\t: fp asimd bf16\n", NO_HARDWARE),  # Arm: not measured
        (None, NO_HARDWARE),
    ],
)
def test_the_extensions_are_those_that_the_system_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None, missing: str
) -> None:
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(precision, "_CPU", tmp_path / "cpuinfo")
    monkeypatch.setattr(precision, "_processor", precision._processor.__wrapped__)
    assert lacking_at_sight("openvino") == missing


@pytest.mark.parametrize(
    ("device", "backend", "driver", "engine"),
    [
        ("auto", "auto", False, "openvino"),
        ("auto", "auto", True, "cuda"),
        ("auto", "openvino", True, "openvino"),
        ("cpu", "auto", True, "openvino"),
        ("cpu", "torch", False, "torch"),
        ("cuda", "auto", False, "cuda"),
    ],
)
def test_the_engine_is_told_from_the_settings(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    device: Any,
    backend: Any,
    driver: bool,
    engine: EngineName,
) -> None:
    monkeypatch.setattr(precision, "_GPU_DRIVER", tmp_path if driver else tmp_path / "none")
    assert likely_engine(device, backend) == engine


def test_what_measured_is_named_by_version_and_processor() -> None:
    of_openvino, processor = described("openvino")
    assert of_openvino == version("openvino")
    assert described("torch") == (torch.__version__, processor)
    assert processor


def test_the_engine_is_told_from_the_device() -> None:
    assert engine_on("auto", torch.device("cuda")) == "cuda"
    assert engine_on("torch", torch.device("cpu")) == "torch"
    assert engine_on("auto", torch.device("cpu")) == "openvino"


@pytest.mark.parametrize("asked", ["f32", "bf16"])
def test_openvino_is_always_told_the_precision(monkeypatch: pytest.MonkeyPatch, asked: Any) -> None:
    """Untold it takes bfloat16 wherever the processor has it."""
    given: dict[str, Any] = {}

    class OneCore:
        def compile_model(self, _graph: object, _device: str, wishes: dict[str, Any]) -> None:
            given.update(wishes)

    package = SimpleNamespace(Core=OneCore)
    monkeypatch.setattr("inference.backends.streams.package", lambda: package)
    Streams(None, 1, asked)
    assert given["INFERENCE_PRECISION_HINT"] == asked
