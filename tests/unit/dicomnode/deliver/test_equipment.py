"""What all who share the work of series must have alike, and what may differ between machines."""

from __future__ import annotations

from typing import Any

import pytest

from dicomnode.config.settings import Settings
from dicomnode.deliver import equipment as module
from dicomnode.deliver.equipment import equipment

MODELS = {"covnet": "c 1 aa", "lungs": "l 1 bb"}
PACS = {"name": "pacs", "ae_title": "PACS", "address": "192.0.2.1", "port": 104}


def digest(models: dict[str, str] = MODELS, **sections: Any) -> str:
    return equipment(Settings.model_validate(sections), models).digest


@pytest.mark.parametrize(
    "sections",
    [
        {"node": {"ae_title": "OTHER"}},
        {"inference": {"device": "cpu", "workers": 4, "precision": "f32"}},
        {"results": {"note": "off"}},
        {"completeness": {"quiet_seconds": 1}},
    ],
)
def test_what_may_differ(sections: dict[str, Any]) -> None:
    assert digest(**sections) == digest()


@pytest.mark.parametrize(
    "sections",
    [
        {"eligibility": {"max_slice_thickness_mm": 5.0}},
        {"results": {"segmentation": "labelmap"}},
        {"destinations": [PACS]},
        {"inference": {"intended_use_here": "research"}},
    ],
)
def test_what_must_not(sections: dict[str, Any]) -> None:
    assert digest(**sections) != digest()


def test_models_and_release_must_not(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest()
    assert digest(MODELS | {"lungs": "l 2 cc"}) != before
    assert digest(dict(reversed(MODELS.items()))) == before
    monkeypatch.setattr(module, "VERSION", "another")
    assert digest() != before


def test_each_part_is_named_for_a_person() -> None:
    parts = equipment(Settings(), MODELS).parts
    assert parts["model covnet"] == "c 1 aa"
    assert {"release", "intended_use_here", "[eligibility]", "[destinations]"} <= set(parts)


def test_without_loaded_models_those_in_the_folders_count() -> None:
    assert {"model covnet", "model lungs"} <= set(equipment(Settings()).parts)
