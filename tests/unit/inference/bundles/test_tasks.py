from __future__ import annotations

from dataclasses import asdict

import pytest
import torch

from inference.bundles.tasks import IRRELEVANT, LUNG_CLASSES, TASKS


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_its_network_and_settings_that_are_fit(name: str) -> None:
    settings = TASKS[name].settings_type()()
    assert settings.problems() == ()
    assert asdict(settings)  # type: ignore[call-overload]
    with torch.device("meta"):
        assert TASKS[name].build(3).state_dict()


def test_classes_of_lungs_are_named_in_order() -> None:
    assert TASKS["lungs"].class_problems(LUNG_CLASSES[1]) == ()
    assert "are not" in TASKS["lungs"].class_problems(("lung", "background"))[0]


def test_the_last_class_of_regions_is_the_irrelevant_one() -> None:
    assert TASKS["regions"].class_problems(("COVID-19", IRRELEVANT)) == ()
    assert "is not 'irrelevant" in TASKS["regions"].class_problems((IRRELEVANT, "COVID-19"))[0]


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("classes", [(), ("a",), ("a", "a")])
def test_one_class_is_none(name: str, classes: tuple[str, ...]) -> None:
    assert TASKS[name].class_problems(classes) == ("classes are not two or more different names",)
