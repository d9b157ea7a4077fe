"""The record of a run, the files it is made of, and the options it is asked for with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inference.files import file_digest, write_json, write_whole
from inference.training.augment import Augmentation
from inference.training.covnet.settings import CovnetSettings, CovnetStage, covnet_settings
from inference.training.loop import LoopSettings
from inference.training.plan import Options, parse_stages, with_values
from inference.training.run import RUN, OtherRunError, open_run, update_run

RECORD: dict[str, Any] = {
    "task": "covnet",
    "manifest": {"name": "scans.csv", "sha256": "ab"},
    "settings": {"seed": 0, "stages": ((128, 20), (224, 10))},
    "loop": {"seed": 0},
    "patients": {"training": {"p1": ["a", "b"]}},
    "state": "begun",
    "versions": {"torch": "2"},
}


def options(**chosen: Any) -> Options:
    def nowhere(_volume: object) -> Any:
        raise AssertionError

    return Options(find_lungs=nowhere, **chosen)


def test_a_run_is_begun_and_gone_on_with(tmp_path: Path) -> None:
    assert not open_run(tmp_path / "run", RECORD)
    update_run(tmp_path / "run", {"state": "stopped"})
    assert open_run(tmp_path / "run", RECORD | {"versions": {"torch": "3"}})
    assert json.loads((tmp_path / "run" / RUN).read_text("utf-8"))["state"] == "stopped"


def test_another_run_is_refused_with_all_that_differs(tmp_path: Path) -> None:
    open_run(tmp_path, RECORD)
    other = RECORD | {
        "manifest": {"name": "scans.csv", "sha256": "cd"},
        "settings": {"seed": 1, "stages": [[128, 20], [224, 10]]},
    }
    with pytest.raises(OtherRunError) as caught:
        open_run(tmp_path, other)
    told = str(caught.value)
    assert "manifest.sha256 was 'ab', now 'cd'; settings.seed was 0, now 1" in told
    assert "stages" not in told


def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").touch()
    with pytest.raises(OtherRunError, match="holds something, but no run"):
        open_run(tmp_path, RECORD)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.docx"]


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    write_whole(tmp_path / "a.bin", b"one")
    write_whole(tmp_path / "a.bin", b"other")
    assert (tmp_path / "a.bin").read_bytes() == b"other"
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]
    assert file_digest(tmp_path / "a.bin").startswith("d9298a10d1b0735837dc4bd85dac641b")
    assert file_digest(None) == ""


def test_numbers_that_json_does_not_know_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", {"score": float("nan")})
    assert not list(tmp_path.iterdir())


def test_stages_are_read() -> None:
    assert parse_stages("128:2000, 224:1500") == (("128", 2000), ("224", 1500))


@pytest.mark.parametrize("text", ["", "128", "128:", ":5", "128:0", "128:-3", "128:1.5", "a:1,a:2"])
def test_stages_that_cannot_be_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="stage"):
        parse_stages(text)


def test_values_are_put_into_settings_by_name() -> None:
    changed = with_values(LoopSettings(), [("validate_every", "7"), ("weight_decay", "1e-2")])
    assert (changed.validate_every, changed.weight_decay) == (7, 0.01)
    with pytest.raises(ValueError, match=r"no setting 'valdate'; there are seed, validate_every"):
        with_values(LoopSettings(), [("valdate", "7")])
    with pytest.raises(ValueError, match="'seven'"):
        with_values(LoopSettings(), [("validate_every", "seven")])
    with pytest.raises(ValueError, match="no setting 'augmentation'"):
        with_values(CovnetSettings(), [("augmentation", "none")])


def test_the_default_stages_grow_and_many_slices_are_learned_at_half_the_rate() -> None:
    settings = covnet_settings(options(seed=4))
    assert settings.stages == ((128, 1, 1000), (224, 1, 600), (224, 32, 250))
    assert settings.preprocessing.size == 224
    one, two, three = settings.schedule
    assert (one.name, one.steps, one.learning_rate, one.warm_up) == ("128x1", 1000, 2e-4, 50)
    assert two.learning_rate == 2e-4
    assert three.learning_rate == 1e-4
    assert [one.hands_on_best, two.hands_on_best] == [False, False]
    assert settings.augmentation == Augmentation()
    assert settings.cells == 28


def test_the_size_in_use_is_that_of_the_last_stage() -> None:
    assert covnet_settings(options(size=96)).stages == ((96, 1, 2000),)
    assert covnet_settings(options(stages="96:5")).stages == ((96, 48, 5),)
    with pytest.raises(ValueError, match="the last stage has size 224, not 96"):
        covnet_settings(options(size=96, stages="128:1,224:1"))
    with pytest.raises(ValueError, match="stage '100': size 100 is not a multiple of 32"):
        covnet_settings(options(stages="100:5"))
    with pytest.raises(ValueError, match="stage 'large'"):
        covnet_settings(options(stages="large:5"))
    with pytest.raises(ValueError, match="stage '96x0': no slices"):
        covnet_settings(options(stages="96x0:5"))


def test_a_bag_of_the_usual_size_comes_so_often() -> None:
    """The mean of a log-uniform number from 6 to 48 is 20.2: 32 slices are 1.6 such bags."""
    settings = CovnetSettings()
    assert settings.usual_bags(CovnetStage(128, 48, 1)) == pytest.approx(1.584, abs=0.001)
    assert settings.usual_bags(CovnetStage(128, 1, 1)) == 32.0
