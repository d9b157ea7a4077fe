"""Scans as a task prepared them, kept on disk: one safetensors file each, made once.

A file's name holds a digest of all that its tensors depend on (the scan's files, the settings of
the preparation, the code that prepares), so that nothing stale is ever found.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

from safetensors.torch import save

from inference.errors import InferenceError
from inference.files import write_whole
from inference.progress import Progress, no_progress
from inference.training.plan import Example, Plan, PreparedScan

_CODE = ("**/*.py",)
"""Under `inference`: what may change how a scan is prepared."""


class PreparationError(InferenceError):
    """Scans that cannot be trained on: all of them, each with its reason."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def prepare_all(
    examples: Sequence[Example],
    plan: Plan,
    folder: Path,
    workers: int | None = None,
    progress: Progress | None = None,
    refused: tuple[type[Exception], ...] = (InferenceError,),
    stop: Callable[[], bool] = lambda: False,
) -> list[PreparedScan] | None:
    """Each scan prepared, from the folder where it is there already; in the order of `examples`.

    `refused`: errors of loading that are the scan's fault. None when it was stopped.

    Raises:
        PreparationError: scans cannot be used; names all of them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    on_progress = progress or no_progress
    found: list[PreparedScan | str | None] = []

    def prepare(example: Example) -> PreparedScan | str | None:
        try:
            return None if stop() else _prepared(example, plan, folder)
        except refused as error:
            return f"scan {example.scan}: {error}"

    with ThreadPoolExecutor(workers or os.cpu_count() or 1, "prepare") as pool:
        for done, each in enumerate(pool.map(prepare, examples), start=1):
            found.append(each)
            on_progress("prepare", done, len(examples))
    if stop():
        return None
    problems = [each for each in found if isinstance(each, str)]
    if problems:
        raise PreparationError(problems)
    return [each for each in found if isinstance(each, PreparedScan)]


def _prepared(example: Example, plan: Plan, folder: Path) -> PreparedScan:
    path = folder / f"{example.scan}-{_key(example, plan.preparation)}.safetensors"
    if not path.exists():
        tensors = {name: value.contiguous() for name, value in plan.prepare(example).items()}
        write_whole(path, save(tensors))
    return PreparedScan(example.scan, example.patient, example.label, path)


def _key(example: Example, preparation: Mapping[str, Any]) -> str:
    depends_on = [example.signature, example.label, preparation, code_digest()]
    return hashlib.sha256(json.dumps(depends_on, sort_keys=True).encode()).hexdigest()[:20]


@cache
def code_digest() -> str:
    """SHA-256 of the sources that prepare a scan: a change of them makes the cache anew."""
    package = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for pattern in _CODE:
        for path in sorted(package.glob(pattern)):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()
