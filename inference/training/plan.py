"""What a task says before its data are there, and the data as it gets them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import torch
from safetensors import safe_open
from torch import Tensor

from inference.arrays.components import Mask
from inference.training.scan import LoadedScan, Split
from inference.training.task import TrainingTask
from inference.volume import CtVolume

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

S = TypeVar("S", bound="DataclassInstance")

FindLungs = Callable[[CtVolume], Mask]


@dataclass(frozen=True)
class Options:
    """What a person chose; None is the task's own default.

    `stages`: "128x1:1200,224x24:500", the name of each stage and its steps. `init`: safetensors to
    start from. `settings`: other values of the task's settings by name. `find_lungs`: how lungs
    are found in a volume, as they will be in use; `lungs_from`: what names that way.
    """

    find_lungs: FindLungs
    lungs_from: str = "classical"
    seed: int = 0
    size: int | None = None
    stages: str | None = None
    init: Path | None = None
    settings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Example:
    """A labelled scan that can be loaded; `signature` changes when its files do."""

    scan: str
    patient: str
    label: str
    signature: str
    load: Callable[[], LoadedScan]


@dataclass(frozen=True)
class PreparedScan:
    """The tensors of one scan as a task prepared them, in a safetensors file."""

    scan: str
    patient: str
    label: str
    file: Path

    def tensor(self, name: str) -> Tensor:
        """The whole of a tensor."""
        with safe_open(self.file, "pt") as stored:
            found: Tensor = stored.get_tensor(name)
            return found

    def rows(self, name: str, indices: Sequence[int]) -> Tensor:
        """Some rows of a tensor's first axis; only they are read."""
        with safe_open(self.file, "pt") as stored:
            part = stored.get_slice(name)
            return torch.cat([part[index : index + 1] for index in indices])

    def names(self) -> frozenset[str]:
        """Of the tensors that are there."""
        with safe_open(self.file, "pt") as stored:
            return frozenset(stored.keys())


class Plan(Protocol):
    """A task with its settings."""

    @property
    def name(self) -> str:
        """The task, as `inference.bundles.tasks.TASKS` names it."""
        ...

    @property
    def settings(self) -> Any:
        """A frozen dataclass of values that JSON can hold: written into the run."""
        ...

    @property
    def preparation(self) -> Mapping[str, object]:
        """All that the prepared tensors depend on, beside the scan itself."""
        ...

    def prepare(self, example: Example) -> dict[str, Tensor]:
        """What is kept of one scan.

        Raises:
            InferenceError: it cannot be trained on.
        """
        ...

    def problems(self, data: Mapping[Split, Sequence[Example]]) -> Sequence[str]:
        """What keeps these scans from being trained on together; empty when nothing does."""
        ...

    def task(self, data: Mapping[Split, Sequence[PreparedScan]]) -> TrainingTask[Any]:
        """The task with its data."""
        ...


def parse_stages(text: str) -> tuple[tuple[str, int], ...]:
    """Names and steps of "128x1:1200,224x24:500".

    Raises:
        ValueError: it is no such text; says what is wrong.
    """
    stages = []
    for part in text.split(","):
        name, colon, steps = part.strip().partition(":")
        if not (name and colon and steps.isdecimal() and int(steps) > 0):
            raise ValueError(f"stage {part!r} is not like 224:1500, a name and a number of steps")
        stages.append((name, int(steps)))
    if len(dict(stages)) < len(stages):
        raise ValueError(f"stages {text!r}: a name comes twice")
    return tuple(stages)


def with_values(settings: S, values: Sequence[tuple[str, str]]) -> S:
    """Frozen settings with some numbers or words exchanged, given as text.

    Raises:
        ValueError: a name that is none of them, or text that is no such value.
    """
    kinds = {each.name: type(getattr(settings, each.name)) for each in fields(settings)}
    changed: dict[str, Any] = {}
    for name, text in values:
        if kinds.get(name) not in {int, float, str}:
            known = ", ".join(key for key, kind in kinds.items() if kind in {int, float, str})
            raise ValueError(f"no setting {name!r}; there are {known}")
        changed[name] = kinds[name](text)
    return replace(settings, **changed)
