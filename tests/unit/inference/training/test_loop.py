"""The loop: a run that was stopped or killed ends as one that was not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from inference.errors import TrainingDivergedError
from inference.training.checkpoint import (
    Position,
    load_position,
    load_tensors,
    restore_network,
    restore_optimiser,
    save_checkpoint,
)
from inference.training.curves import cut_curves, plot_curves, read_curves
from inference.training.loop import (
    BEST,
    BEST_CARD,
    CHECKPOINT,
    CURVES,
    End,
    Loop,
    LoopSettings,
    LoopView,
    learning_rate,
)
from inference.training.task import Stage, Validation
from support.tiny_task import TinyTask

SETTINGS = LoopSettings(seed=3, validate_every=5, tell_every=2)
TWO_STAGES = (Stage("one", 6, 0.05, 2), Stage("two", 4, 0.01))


def never() -> bool:
    return False


def after(steps: int) -> Callable[[], bool]:
    """A wish to stop that comes with the so-manieth step."""
    asked = count(1)
    return lambda: next(asked) >= steps


def run(
    folder: Path,
    task: TinyTask,
    stop: Callable[[], bool] = never,
    settings: LoopSettings = SETTINGS,
    view: LoopView | None = None,
) -> End:
    folder.mkdir(exist_ok=True)
    cpu = torch.device("cpu")
    return Loop(task, folder, settings, cpu, stop=stop, view=view).run()


def state(folder: Path) -> dict[str, Tensor]:
    return load_tensors(folder / CHECKPOINT)


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


class Heard(LoopView):
    """What a loop told."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, int]] = []
        self.best: list[tuple[str, int, bool]] = []

    def step(self, stage: Stage, step: int, losses: dict[str, float]) -> None:
        assert losses["loss"] == pytest.approx(2 * losses["half"], rel=1e-5)
        self.steps.append((stage.name, step))

    def validated(self, stage: Stage, step: int, _result: Validation, is_best: bool) -> None:
        self.best.append((stage.name, step, is_best))


def test_the_tiny_task_is_learned(tmp_path: Path) -> None:
    assert run(tmp_path, TinyTask((Stage("one", 30, 0.05, 3),))) is End.FINISHED
    losses = [value for _, value in read_curves(tmp_path / CURVES)["loss"]]
    assert losses[-1] < 0.3 * losses[0]
    assert json.loads((tmp_path / BEST_CARD).read_text("utf-8"))["figures"]["accuracy"] > 0.95


@pytest.mark.parametrize("stops", [(1,), (3,), (5,), (6,), (9,), (2, 3, 2, 1)], ids=str)
def test_a_stopped_run_ends_bit_for_bit_as_one_that_was_not(
    tmp_path: Path, stops: tuple[int, ...]
) -> None:
    """Before, at and after a validation and the end of a stage; and several times."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert run(whole, TinyTask(TWO_STAGES)) is End.FINISHED
    for steps in stops:
        run(parts, TinyTask(TWO_STAGES), stop=after(steps))
    assert run(parts, TinyTask(TWO_STAGES)) is End.FINISHED
    assert same(state(whole), state(parts))
    assert same(load_file(whole / BEST), load_file(parts / BEST))
    assert (whole / CURVES).read_text() == (parts / CURVES).read_text()


def test_what_a_killed_run_did_after_its_checkpoint_is_done_again_and_told_once(
    tmp_path: Path,
) -> None:
    """A kill is a run that ends without a checkpoint: here, by an error in step 8."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run(whole, TinyTask())
    with pytest.raises(TrainingDivergedError, match=r"^loss is nan at step 9: try a lower"):
        run(killed, TinyTask(poison=8))
    assert load_position(killed / CHECKPOINT) is not None
    assert ",8,loss," in (killed / CURVES).read_text()
    assert run(killed, TinyTask()) is End.FINISHED
    assert same(state(whole), state(killed))
    assert (whole / CURVES).read_text() == (killed / CURVES).read_text()


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_validation_without_a_number_is_a_training_that_diverged(
    tmp_path: Path, score: float
) -> None:
    """Not a ValueError of JSON, nor a best that nothing is ever better than."""
    task = TinyTask(scores={("one", 5): score})
    with pytest.raises(TrainingDivergedError, match=r"validation is (nan|inf) at step 5: try a"):
        run(tmp_path, task)
    assert not (tmp_path / BEST).exists()


def test_weights_that_are_no_numbers_are_told_before_the_validation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = TinyTask()
    loop = Loop(task, tmp_path, SETTINGS, torch.device("cpu"), stop=never, view=None)
    step = loop._add

    def spoil(losses: dict[str, Tensor]) -> None:
        step(losses)
        if loop._at.step == SETTINGS.validate_every:
            next(iter(loop._network.parameters())).data.fill_(float("nan"))

    monkeypatch.setattr(loop, "_add", spoil)
    with pytest.raises(TrainingDivergedError, match="not finite before the validation at step 5"):
        loop.run()


def test_a_figure_of_nothing_is_left_out_of_the_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = TinyTask()
    validate = task.validate

    def without_a_class(*arguments: Any) -> Validation:
        found = validate(*arguments)
        return replace(found, figures=dict(found.figures) | {"AUC rare": float("nan")})

    monkeypatch.setattr(task, "validate", without_a_class)
    assert run(tmp_path, task) is End.FINISHED
    assert set(json.loads((tmp_path / BEST_CARD).read_text("utf-8"))["figures"]) == {"accuracy"}


def test_a_finished_run_does_nothing_more(tmp_path: Path) -> None:
    run(tmp_path, TinyTask())
    before = state(tmp_path)
    again = TinyTask()
    assert run(tmp_path, again) is End.FINISHED
    assert again.batches == []
    assert same(before, state(tmp_path))


def test_another_seed_draws_other_batches_and_each_step_its_own(tmp_path: Path) -> None:
    one, other = TinyTask(), TinyTask()
    run(tmp_path / "one", one)
    run(tmp_path / "other", other, settings=LoopSettings(seed=4))
    assert len(set(one.batches)) == len(one.batches) == 12
    assert not set(one.batches) & set(other.batches)


@pytest.mark.parametrize("best", [True, False])
def test_a_stage_hands_on_its_best_weights_or_its_last(tmp_path: Path, best: bool) -> None:
    """The first stage is best at step 5, and its sixth step may be thrown away."""
    scores = {("one", 5): 0.9, ("one", 6): 0.1}
    first, second = TWO_STAGES
    task = TinyTask((replace(first, hands_on_best=best), second), scores)
    run(tmp_path, task, stop=after(6))
    loop = Loop(task, tmp_path, SETTINGS, torch.device("cpu"), stop=after(1))
    assert loop.progress() == [
        {"name": "one", "steps": 6, "done": 6},
        {"name": "two", "steps": 4, "done": 0},
    ]
    network = {k.removeprefix("network."): v for k, v in state(tmp_path).items()}
    assert same(load_file(tmp_path / BEST), network) == best
    assert json.loads((tmp_path / BEST_CARD).read_text("utf-8"))["step"] == 5


def test_the_best_of_a_stage_is_kept_and_told(tmp_path: Path) -> None:
    scores = {("one", 5): 0.9, ("one", 10): 0.2, ("one", 12): 0.95}
    heard = Heard()
    run(tmp_path, TinyTask(scores=scores), view=heard)
    assert heard.best == [("one", 5, True), ("one", 10, False), ("one", 12, True)]
    assert heard.steps == [("one", step) for step in range(1, 13)]
    card = json.loads((tmp_path / BEST_CARD).read_text("utf-8"))
    assert (card["stage"], card["step"], card["score"]) == ("one", 12, 0.95)
    assert card["classes"] == ["left", "right"]


def test_a_later_stage_has_a_best_of_its_own(tmp_path: Path) -> None:
    """Scores of two stages, made on images of two sizes, are not to be compared."""
    task = TinyTask(TWO_STAGES, {("one", 6): 0.99, ("two", 4): 0.5})
    run(tmp_path, task)
    card = json.loads((tmp_path / BEST_CARD).read_text("utf-8"))
    assert (card["stage"], card["step"]) == ("two", 4)


def test_only_one_checkpoint_is_kept(tmp_path: Path) -> None:
    run(tmp_path, TinyTask(TWO_STAGES))
    assert sorted(path.name for path in (tmp_path / CHECKPOINT).iterdir()) == [
        "state-2-0000000.safetensors",
        "state.json",
    ]


def test_a_checkpoint_cut_off_while_it_was_written_leaves_the_one_before(tmp_path: Path) -> None:
    run(tmp_path, TinyTask(), stop=after(4))
    before = state(tmp_path)
    later = tmp_path / CHECKPOINT / "state-0-0000011.safetensors"
    later.write_bytes(b"half of a fi")
    (tmp_path / CHECKPOINT / ".part-state.json").write_text('{"tensors": "state-0-00')
    assert same(before, state(tmp_path))
    assert run(tmp_path, TinyTask()) is End.FINISHED
    assert not later.exists()


def test_moments_are_restored_in_the_layout_of_their_parameter(tmp_path: Path) -> None:
    """Sums over channels-last tensors are taken in another order."""
    conv = nn.Conv2d(4, 8, 3).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(conv.parameters(), lr=0.1, fused=True)
    conv(torch.rand(2, 4, 8, 8)).sum().backward()
    optimiser.step()
    save_checkpoint(tmp_path, conv, optimiser, Position(stage=1, step=7, sums={"loss": 0.5}))
    other = nn.Conv2d(4, 8, 3).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    again = torch.optim.AdamW(other.parameters(), lr=0.1, fused=True)
    restore_network(other, load_tensors(tmp_path))
    restore_optimiser(again, other, load_tensors(tmp_path))
    kept, found = optimiser.state[conv.weight], again.state[other.weight]
    assert found["exp_avg"].is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(kept["exp_avg"], found["exp_avg"])
    assert torch.equal(kept["exp_avg_sq"], found["exp_avg_sq"])
    assert int(found["step"]) == 1
    assert load_position(tmp_path) == Position(stage=1, step=7, sums={"loss": 0.5})


def test_there_is_no_checkpoint_before_the_first(tmp_path: Path) -> None:
    assert load_position(tmp_path) is None
    with pytest.raises(FileNotFoundError):
        load_tensors(tmp_path)


def test_the_learning_rate_rises_and_falls_along_a_cosine() -> None:
    stage = Stage("one", 104, 1.0, 4)
    rates = [learning_rate(stage, step) for step in range(104)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert max(rates) == 1.0
    assert rates[54] == pytest.approx(0.5)
    assert np.all(np.diff(rates[4:]) < 0)
    assert 0 < rates[-1] < 0.001


def test_gradients_are_clipped_before_the_step(tmp_path: Path) -> None:
    """Adam's first moment after one step is a tenth of the gradient."""
    run(tmp_path, TinyTask(), stop=after(1), settings=LoopSettings(largest_gradient=0.01))
    moments = [value for name, value in state(tmp_path).items() if name.endswith("exp_avg")]
    norm = float(torch.stack([value.square().sum() for value in moments]).sum().sqrt())
    assert norm == pytest.approx(0.1 * 0.01, rel=1e-3)


def test_curves_that_were_told_later_than_the_state_are_cut(tmp_path: Path) -> None:
    path = tmp_path / "curves.csv"
    lines = ["one,2,loss,1.5", "one,4,loss,1.25", "two,2,loss,1", "two,4,loss,0.5", "two,6,lo"]
    path.write_text("\n".join(["stage,step,quantity,value", *lines]))
    cut_curves(path, 1, 2, ["one", "two"])
    assert path.read_text() == "\n".join(["stage,step,quantity,value", *lines[:3], ""])
    assert read_curves(path) == {"loss": [(2, 1.5), (4, 1.25), (6, 1.0)]}


def test_the_curves_are_drawn_a_panel_for_each_quantity(tmp_path: Path) -> None:
    from PIL import Image

    few, many = tmp_path / "few.csv", tmp_path / "many.csv"
    cut_curves(few, 0, 0, ["one"])
    few.write_text(few.read_text() + "one,1,loss,1\none,2,loss,0.5\n")
    many.write_text(few.read_text() + "".join(f"one,2,part {n},{n}\n" for n in range(6)))
    for path in (few, many):
        plot_curves(path, path.with_suffix(".png"))
    with Image.open(few.with_suffix(".png")) as one, Image.open(many.with_suffix(".png")) as six:
        assert six.height == pytest.approx(3 * one.height, abs=2)
