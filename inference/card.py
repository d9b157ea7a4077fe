"""The card of a bundle, `card.toml`: what the weights are, what they were made for, their input."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from inference.errors import BundleError
from inference.findings import ModelIdentity, Training
from inference.preprocess import Preprocessing

TASK = "covnet"
"""The one task there is: three-class COVNet on a ResNet-50."""
_TEXTS = ("name", "version", "task", "intended_use", "licence", "weights", "weights_sha256")
_LONGEST_NAME = 64  # the names stand in DICOM attributes of VR LO (PS3.5 section 6.2)


@dataclass(frozen=True)
class Card:
    """`weights` is a file name within the bundle, `weights_sha256` its digest in hexadecimal."""

    name: str
    version: str
    task: str
    classes: tuple[str, ...]
    training: Training
    intended_use: str
    licence: str
    weights: str
    weights_sha256: str
    preprocessing: Preprocessing = field(default_factory=Preprocessing)

    @property
    def identity(self) -> ModelIdentity:
        """The part of the card that goes with every result."""
        return ModelIdentity(self.name, self.version, self.weights_sha256, self.training)

    @property
    def digest(self) -> str:
        """SHA-256, hexadecimal, of all of the bundle that a result depends on or names.

        That is the weights' digest and the card without its prose and file name.
        """
        covered = asdict(self)
        for prose in ("intended_use", "licence", "weights"):
            del covered[prose]
        text = json.dumps(covered, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def as_toml(self) -> str:
        """The card as text; `read_card` gives it back."""
        values = asdict(self)
        preprocessing = values.pop("preprocessing")
        lines = [f"{key} = {_toml(value)}" for key, value in values.items()]
        lines += ["", "[preprocessing]"]
        return "\n".join(lines + [f"{k} = {_toml(v)}" for k, v in preprocessing.items()]) + "\n"


def _toml(value: object) -> str:
    """A JSON string, list or number is one of TOML too; only DEL would have to be escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def read_card(text: str, folder_name: str) -> Card:
    """Raises BundleError with every missing, unknown or unusable entry."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BundleError(folder_name, (f"card.toml is not TOML: {error}",)) from error
    problems = _entry_problems(table) or _value_problems(table)
    if problems:
        raise BundleError(folder_name, tuple(problems))
    preprocessing = Preprocessing(**table.pop("preprocessing", {}))
    if wrong := preprocessing.problems():
        raise BundleError(folder_name, tuple(f"card.toml: {problem}" for problem in wrong))
    table |= {"classes": tuple(table["classes"]), "training": Training(table["training"])}
    return Card(**table, preprocessing=preprocessing)


def _entry_problems(table: dict[str, Any]) -> list[str]:
    """Entries that are missing, unknown or of the wrong type."""
    known = {f.name for f in fields(Card)}
    found = [f"card.toml: unknown entry {key!r}" for key in table if key not in known]
    found += [f"card.toml: no {key}" for key in known - set(table) - {"preprocessing"}]
    texts = [key for key in (*_TEXTS, "training") if key in table]
    found += [f"card.toml: {key} is no text" for key in texts if not isinstance(table[key], str)]
    classes = table.get("classes", [])
    if not isinstance(classes, list) or not all(isinstance(c, str) and c for c in classes):
        found.append("card.toml: classes is no list of names")
    return found + _preprocessing_problems(table.get("preprocessing", {}))


def _preprocessing_problems(table: object) -> list[str]:
    if not isinstance(table, dict):
        return ["card.toml: preprocessing is no table"]
    types = {f.name: (int,) if f.type == "int" else (int, float) for f in fields(Preprocessing)}
    found = [f"card.toml: unknown entry preprocessing.{key}" for key in table if key not in types]
    for key, value in table.items():
        if key in types and (isinstance(value, bool) or not isinstance(value, types[key])):
            found.append(f"card.toml: preprocessing.{key} is no number of the right kind")
    return found


def _value_problems(table: dict[str, Any]) -> list[str]:
    """Entries of the right type whose value cannot be used."""
    found = []
    if table["task"] != TASK:
        found.append(f"card.toml: task {table['task']!r} is not {TASK!r}")
    if table["training"] not in list(Training):
        found.append(f"card.toml: training {table['training']!r} is none of {', '.join(Training)}")
    if not 2 <= len(set(table["classes"])) == len(table["classes"]):
        found.append("card.toml: classes are not two or more different names")
    if not re.fullmatch(r"[\w-][\w.-]*", table["weights"]):
        found.append(f"card.toml: weights {table['weights']!r} is no plain file name")
    if not re.fullmatch(r"[0-9a-f]{64}", table["weights_sha256"]):
        found.append("card.toml: weights_sha256 is not 64 lower-case hexadecimal digits")
    for key in ("name", "version"):
        if not 1 <= len(table[key]) <= _LONGEST_NAME:
            found.append(f"card.toml: {key} is not 1 to {_LONGEST_NAME} characters long")
    return found
