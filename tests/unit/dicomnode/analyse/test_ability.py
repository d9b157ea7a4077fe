"""What a worker has: what the site says, and what is seen by itself."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dicomnode.analyse.ability import ability_of, machine_memory
from dicomnode.config.sections import InferenceSettings
from dicomnode.config.settings import Settings
from dicomnode.methods.bundles import Engines

MIB = 1 << 20


def engines(*devices: str) -> Engines:
    methods = tuple(SimpleNamespace(device=each) for each in devices)
    return cast("Engines", SimpleNamespace(methods=methods))


@pytest.mark.parametrize(
    ("devices", "said", "has"),
    [
        (("cpu",), (), {"cpu"}),
        ((), ("tape",), {"cpu", "tape"}),
        (("cpu", "cuda"), (), {"cpu", "gpu"}),
        (("cuda:1",), ("large",), {"cpu", "gpu", "large"}),
    ],
)
def test_what_it_has(devices: tuple[str, ...], said: tuple[str, ...], has: set[str]) -> None:
    inference = InferenceSettings(capabilities=said, memory_gib=3)
    found = ability_of(Settings(inference=inference), engines(*devices))
    assert found.capabilities == has
    assert found.claims == has | {""}
    assert found.memory_bytes == 3 << 30


def test_without_a_word_of_the_site_it_has_what_the_machine_has(tmp_path: Path) -> None:
    whole = ability_of(Settings(), engines("cpu")).memory_bytes
    assert whole > 100 * MIB
    assert machine_memory(tmp_path, tmp_path / "none") >= whole


@pytest.mark.parametrize(
    ("limits", "least"), [({"": 700}, 700), ({"job": 300, "": 700}, 300), ({"job": "max"}, None)]
)
def test_the_limit_of_its_container_or_job_counts(
    tmp_path: Path, limits: dict[str, Any], least: int | None
) -> None:
    (tmp_path / "job" / "step").mkdir(parents=True)
    own = tmp_path / "own"
    own.write_text("12:pids:/x\n0::/job/step\n")
    for folder, limit in limits.items():
        told = limit if isinstance(limit, str) else str(limit * MIB)
        (tmp_path / folder / "memory.max").write_text(f"{told}\n")
    found = machine_memory(tmp_path, own)
    assert found == (least * MIB if least else machine_memory(tmp_path, tmp_path / "none"))
