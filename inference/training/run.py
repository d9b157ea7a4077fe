"""A run's folder: what was asked for, on whom it was trained, and how far it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inference.errors import InferenceError
from inference.files import write_json

RUN = "run.json"
IDENTITY = ("task", "manifest", "settings", "loop", "patients")
"""What must be the same for a run to go on."""


class OtherRunError(InferenceError):
    """The folder holds another run; the text says in what it differs."""


def open_run(folder: Path, run: Mapping[str, Any]) -> bool:
    """Whether the folder holds this very run already; else it is begun there.

    Raises:
        OtherRunError: the folder holds another one, or something else.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / RUN
    if not path.exists():
        if any(folder.iterdir()):
            raise OtherRunError(f"{folder} holds something, but no run: give an empty folder")
        write_json(path, run)
        return False
    there = json.loads(path.read_text("utf-8"))
    asked = json.loads(json.dumps(run))  # as it reads when it was written: tuples become lists
    other = [text for key in IDENTITY for text in _differences(key, there.get(key), asked[key])]
    if other:
        raise OtherRunError(f"{folder} holds another run: " + "; ".join(other))
    return True


def update_run(folder: Path, values: Mapping[str, Any]) -> None:
    """Put values into the run's record."""
    path = folder / RUN
    write_json(path, json.loads(path.read_text("utf-8")) | dict(values))


def _differences(name: str, there: Any, asked: Any) -> list[str]:
    if isinstance(there, dict) and isinstance(asked, dict):
        keys = sorted(set(there) | set(asked))
        found = [_differences(f"{name}.{key}", there.get(key), asked.get(key)) for key in keys]
        return [text for each in found for text in each]
    if there == asked:
        return []
    wording = f"{there!r}, now {asked!r}"
    return [f"{name} was {wording}" if len(wording) < 200 else f"{name} is another one"]
