"""The loop: steps, validation, checkpoints, curves. The same for all tasks.

Without state of chance: step k of a stage draws its batch from PCG64(SeedSequence([seed, stage,
k])), so that a run that was killed and goes on ends with the very weights of one that was not
(bit for bit on a CPU with the same number of threads).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import nn

from inference.errors import TrainingDivergedError
from inference.files import write_json, write_whole
from inference.training.checkpoint import (
    Position,
    load_position,
    load_tensors,
    restore_network,
    restore_optimiser,
    save_checkpoint,
)
from inference.training.curves import append_curves, cut_curves
from inference.training.task import Losses, Stage, Trained, TrainingTask, Validation

Stop = Callable[[], bool]
BEST, BEST_CARD, CURVES, CHECKPOINT = "best.safetensors", "best.json", "curves.csv", "checkpoint"


class End(StrEnum):
    """How a run ended."""

    FINISHED = "finished"
    STOPPED = "stopped"


@dataclass(frozen=True)
class LoopSettings:
    """Values that all tasks share."""

    seed: int = 0
    validate_every: int = 100
    """Steps; the last step of a stage is always validated."""
    tell_every: int = 10
    """Steps that a line of the curves is the mean of."""
    checkpoint_minutes: float = 3.0
    """Between two checkpoints at most; one more is written at each validation."""
    largest_gradient: float = 5.0
    """Norm that the gradient of all parameters is clipped to."""
    weight_decay: float = 0.0
    """Decoupled (Loshchilov and Hutter 2019); with 0 the optimiser is Adam."""


class LoopView:
    """What shows how a loop goes on; this one shows nothing."""

    def step(self, stage: Stage, step: int, losses: dict[str, float]) -> None:
        """After `step` steps of a stage: means of the last losses."""

    def validated(self, stage: Stage, step: int, result: Validation, is_best: bool) -> None:
        """After a validation."""


@contextmanager
def _without_onednn() -> Iterator[None]:
    """Its backward pass of 3-D convolutions, in PyTorch 2.13 on an AMD processor with AVX2, gave
    other gradients each time, or ended the process."""
    was = torch.backends.mkldnn.enabled
    torch.backends.mkldnn.enabled = False  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.backends.mkldnn.enabled = was


class Loop:
    """One run in one folder. `stop` is asked after each step."""

    def __init__(
        self,
        task: TrainingTask[Any],
        folder: Path,
        settings: LoopSettings,
        device: torch.device,
        *,
        stop: Stop = lambda: False,
        view: LoopView | None = None,
    ) -> None:
        self._task = task
        self._folder = folder
        self._settings = settings
        self._device = device
        self._stop = stop
        self._view = view or LoopView()
        self._at = load_position(folder / CHECKPOINT) or Position()
        self._network = _on_device(task.network(), device)
        self._three_dimensional = any(
            isinstance(module, nn.Conv3d) for module in self._network.modules()
        )
        self._half = _half_precision(device)
        self._scaler = torch.amp.GradScaler(device.type, enabled=self._half is torch.float16)

    def run(self) -> End:
        """Go on from the checkpoint, or from the start, to the end of all stages or a stop."""
        names = [stage.name for stage in self._task.stages]
        cut_curves(self._folder / CURVES, self._at.stage, self._at.step, names)
        while self._at.stage < len(self._task.stages):
            stage = self._task.stages[self._at.stage]
            optimiser = self._begin(stage)
            self._run_stage(stage, optimiser)
            if self._at.step < stage.steps:
                self._save(optimiser)
                return End.STOPPED
            self._finish_stage(optimiser)
            if self._stop() and self._at.stage < len(self._task.stages):
                return End.STOPPED
        return End.FINISHED

    def progress(self) -> list[dict[str, Any]]:
        """Of each stage, its steps and how many of them are done."""
        done = self._at.stage
        return [
            {
                "name": stage.name,
                "steps": stage.steps,
                "done": stage.steps if number < done else self._at.step if number == done else 0,
            }
            for number, stage in enumerate(self._task.stages)
        ]

    def _begin(self, stage: Stage) -> torch.optim.Optimizer:
        """The optimiser of a stage, and network and moments as the checkpoint has them."""
        groups = _groups(self._task.trained(self._network, stage))
        optimiser = torch.optim.AdamW(
            groups, lr=0.0, weight_decay=self._settings.weight_decay, fused=True
        )
        if (self._folder / CHECKPOINT).exists():
            tensors = load_tensors(self._folder / CHECKPOINT)
            restore_network(self._network, tensors)
            if self._at.step:
                restore_optimiser(optimiser, self._network, tensors)
        if self._at.scaler:
            self._scaler.load_state_dict(self._at.scaler)
        return optimiser

    def _run_stage(self, stage: Stage, optimiser: torch.optim.Optimizer) -> None:
        """To its end, or until it is stopped."""
        saved = time.monotonic()
        with ExitStack() as opened:
            batches = opened.enter_context(_Batches(self._task, stage, self._ahead(), self._random))
            for batch in batches.following(self._at.step):
                began = time.monotonic()
                self._step(stage, optimiser, batch)
                self._at.seconds += time.monotonic() - began
                self._tell(stage)
                due = self._at.step % self._settings.validate_every == 0
                if due or self._at.step == stage.steps:
                    self._validate(stage)
                if due or time.monotonic() - saved > 60 * self._settings.checkpoint_minutes:
                    self._save(optimiser)
                    saved = time.monotonic()
                if self._stop():
                    return

    def _random(self, step: int) -> np.random.Generator:
        seeds = np.random.SeedSequence([self._settings.seed, self._at.stage, step])
        return np.random.Generator(np.random.PCG64(seeds))

    def _ahead(self) -> int:
        """Batches made in another thread: on a CPU there is no core to spare for it."""
        return 0 if self._device.type == "cpu" else 3

    def _step(self, stage: Stage, optimiser: torch.optim.Optimizer, batch: Any) -> None:
        with _without_onednn() if self._three_dimensional else nullcontext():
            self._take_step(stage, optimiser, batch)

    def _take_step(self, stage: Stage, optimiser: torch.optim.Optimizer, batch: Any) -> None:
        for group in optimiser.param_groups:
            group["lr"] = group["factor"] * learning_rate(stage, self._at.step)
        self._network.train()
        self._task.begin_step(self._network, stage, self._at.step)
        torch.manual_seed(int(self._random(self._at.step).integers(2**62)))
        losses = self._forward(batch)
        optimiser.zero_grad(set_to_none=True)
        self._scaler.scale(losses.total).backward()  # type: ignore[no-untyped-call]
        self._scaler.unscale_(optimiser)
        trained = [p for group in optimiser.param_groups for p in group["params"]]
        nn.utils.clip_grad_norm_(trained, self._settings.largest_gradient)
        self._scaler.step(optimiser)
        self._scaler.update()
        self._at.step += 1
        self._add({"loss": losses.total, **losses.parts})

    def _forward(self, batch: Any) -> Losses:
        enabled = self._half is not None
        with torch.autocast(self._device.type, self._half, enabled=enabled):
            return self._task.loss(self._network, batch, self._device)

    def _add(self, losses: dict[str, torch.Tensor]) -> None:
        for name, value in losses.items():
            number = float(value.detach())
            if not math.isfinite(number) and not self._scaler.is_enabled():
                raise self._diverged(f"{name} is {number}")
            self._at.sums[name] = self._at.sums.get(name, 0.0) + number
        self._at.summed += 1

    def _tell(self, stage: Stage) -> None:
        done, every = self._at.step, self._settings.tell_every
        means = {name: total / self._at.summed for name, total in self._at.sums.items()}
        self._view.step(stage, done, means)
        if done % every and done != stage.steps:
            return
        rate = {"learning rate": learning_rate(stage, done - 1)}
        append_curves(self._folder / CURVES, stage.name, done, means | rate)
        self._at.sums, self._at.summed = {}, 0

    def _validate(self, stage: Stage) -> None:
        self._network.eval()
        self._check_weights()
        with torch.no_grad():
            result = self._task.validate(self._network, stage, self._device)
        if not math.isfinite(result.score):
            raise self._diverged(f"the score of the validation is {result.score}")
        best = self._at.best_score
        is_best = best is None or result.score > best
        if is_best:
            self._at.best_score = result.score
            self._keep_best(stage, result)
        figures = {f"validation {name}": value for name, value in result.figures.items()}
        append_curves(self._folder / CURVES, stage.name, self._at.step, figures)
        self._view.validated(stage, self._at.step, result, is_best)

    def _check_weights(self) -> None:
        """Losses in half precision may pass as infinite; weights that are not numbers never do."""
        for name, tensor in self._network.state_dict().items():
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                raise self._diverged(f"{name} is not finite before the validation")

    def _diverged(self, what: str) -> TrainingDivergedError:
        return TrainingDivergedError(f"{what} at step {self._at.step}: try a lower learning rate")

    def _keep_best(self, stage: Stage, result: Validation) -> None:
        weights = {
            name: value.detach().cpu().contiguous()
            for name, value in self._task.weights(self._network).items()
        }
        write_whole(self._folder / BEST, save(weights))
        entry = {"stage": stage.name, "step": self._at.step, "score": result.score}
        # a figure of nothing (no case of a class) is no number, and none of JSON's
        figures = {name: value for name, value in result.figures.items() if math.isfinite(value)}
        card = entry | {"figures": figures} | dict(result.extra)
        write_json(self._folder / BEST_CARD, card)

    def _save(self, optimiser: torch.optim.Optimizer) -> None:
        self._at.scaler = self._scaler.state_dict() if self._scaler.is_enabled() else {}
        save_checkpoint(self._folder / CHECKPOINT, self._network, optimiser, self._at)

    def _finish_stage(self, optimiser: torch.optim.Optimizer) -> None:
        """The next stage starts from the weights that this one hands on, with new moments."""
        if self._task.stages[self._at.stage].hands_on_best:
            self._task.restore(self._network, load_file(self._folder / BEST))
        seconds = self._at.seconds
        self._at = Position(stage=self._at.stage + 1, seconds=seconds)
        optimiser.state.clear()
        self._save(optimiser)


def learning_rate(stage: Stage, step: int) -> float:
    """Linear warm-up, then half a cosine (Loshchilov and Hutter 2017, equation 5, one cycle)."""
    if step < stage.warm_up:
        return stage.learning_rate * (step + 1) / stage.warm_up
    done = (step - stage.warm_up) / max(1, stage.steps - stage.warm_up)
    return stage.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def _groups(trained: Iterable[Trained]) -> list[dict[str, Any]]:
    """The optimiser's groups of parameters, one for each factor of the learning rate."""
    groups: dict[float, list[nn.Parameter]] = {}
    for each in trained:
        parameter, factor = each if isinstance(each, tuple) else (each, 1.0)
        groups.setdefault(factor, []).append(parameter)
    return [{"params": some, "factor": factor} for factor, some in groups.items()]


class _Batches:
    """The batches of a stage, made in order, so many ahead in a thread of its own."""

    def __init__(
        self,
        task: TrainingTask[Any],
        stage: Stage,
        ahead: int,
        random: Callable[[int], np.random.Generator],
    ) -> None:
        self._make = lambda step: task.batch(stage, random(step))
        self._steps = stage.steps
        self._ahead = ahead
        self._pool = ThreadPoolExecutor(1, "batches") if ahead else None

    def __enter__(self) -> _Batches:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def following(self, done: int) -> Iterator[Any]:
        """From step `done` to the stage's last."""
        if self._pool is None:
            yield from map(self._make, range(done, self._steps))
            return
        waiting: list[Future[Any]] = []
        for step in range(done, self._steps):
            while len(waiting) < min(self._ahead, self._steps - step):
                waiting.append(self._pool.submit(self._make, step + len(waiting)))
            yield waiting.pop(0).result()


def _on_device(network: nn.Module, device: torch.device) -> nn.Module:
    """Kernels of two dimensions with channels last, which convolutions take twice as quickly."""
    network.to(device)
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return network


def _half_precision(device: torch.device) -> torch.dtype | None:
    """bfloat16 on GPUs that have it, else float16; None on a CPU, where float32 is quicker."""
    if device.type != "cuda":
        return None
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
