"""The card of a bundle, `card.toml`: what the weights are, what they were made for, their input."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from dataclasses import asdict, dataclass, fields
from typing import Any

from inference.bundles.class_codes import known_class
from inference.bundles.tasks import TASKS, InputSettings
from inference.errors import BundleError
from inference.findings import FindingClass, IntendedUse, ModelIdentity, Training

TASK = "covnet"
"""The task of Li et al. 2020: COVNet on a ResNet-50."""
_TEXTS = ("name", "version", "task", "intended_use", "licence", "weights", "weights_sha256")
_OPTIONAL_TEXTS = ("use", "training_data")
_OPTIONAL = {"preprocessing", "metrics", "codes", *_OPTIONAL_TEXTS}
_PROSE = ("intended_use", "licence", "weights", "training_data", "metrics")
_LONGEST_NAME = 64  # the names stand in DICOM attributes of VR LO (PS3.5 section 6.2)


@dataclass(frozen=True)
class Metric:
    """A measured quality with its confidence interval, `low` to `high`, at level `confidence`.

    `data`: on which data, in words; `cases`: how many of them.
    """

    name: str
    value: float
    low: float
    high: float
    data: str
    cases: int
    confidence: float = 0.95

    def problems(self) -> tuple[str, ...]:
        """What cannot be; empty when nothing is wrong."""
        found = []
        if not self.low <= self.value <= self.high:
            found.append(f"{self.value} is not within its interval {self.low} to {self.high}")
        if not 0 < self.confidence < 1:
            found.append(f"confidence {self.confidence} is not within 0 to 1")
        if self.cases < 1:
            found.append(f"{self.cases} cases")
        return tuple(f"metric {self.name!r}: {problem}" for problem in found)


@dataclass(frozen=True)
class Card:
    """`weights` is a file name within the bundle, `weights_sha256` its digest in hexadecimal.

    `use` is what the bundle's makers mean it for, `intended_use` the same in prose, with its
    limits; `training_data` says in prose what it learned from. `codes`: of classes, by name; those
    of usual names may be left out (`class_codes`).
    """

    name: str
    version: str
    task: str
    classes: tuple[str, ...]
    training: Training
    intended_use: str
    licence: str
    weights: str
    weights_sha256: str
    preprocessing: InputSettings
    use: IntendedUse = IntendedUse.NONE
    training_data: str = ""
    codes: tuple[FindingClass, ...] = ()
    metrics: tuple[Metric, ...] = ()

    @property
    def finding_classes(self) -> tuple[FindingClass, ...]:
        """The classes that results report, in order, with their codes.

        Raises BundleError with every class that has no code, or the `short` of another.
        """
        own = {each.name: each for each in self.codes}
        coded = {name: own.get(name) or known_class(name) for name in self.reported}
        found = tuple(each for each in coded.values() if each is not None)
        problems = [
            f"card.toml: class {name!r} has no code to report it by: name it under [[codes]]"
            for name, each in coded.items()
            if each is None
        ]
        if len({each.short for each in found}) < len(found):
            problems.append("card.toml: the codes of two classes have the same short")
        if problems:
            raise BundleError(self.name, tuple(problems))
        return found

    @property
    def reported(self) -> tuple[str, ...]:
        """The classes of which results speak, by name."""
        return TASKS[self.task].reported(self.classes)

    @property
    def identity(self) -> ModelIdentity:
        """The part of the card that goes with every result, where no site declares any use."""
        return self.identity_at(IntendedUse.NONE)

    def identity_at(self, site: IntendedUse) -> ModelIdentity:
        """The same at a site that declares a use of its own: the lesser of both holds."""
        use = min(self.use, site, key=lambda each: each.rank)
        return ModelIdentity(self.name, self.version, self.weights_sha256, self.training, use)

    @property
    def digest(self) -> str:
        """SHA-256, hexadecimal, of all of the bundle that a result depends on or names.

        That is the weights' digest and the card without its prose and file name.
        """
        covered = asdict(self)
        for prose in _PROSE:
            del covered[prose]
        text = json.dumps(covered, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def as_toml(self) -> str:
        """The card as text; `read_card` gives it back."""
        values = asdict(self)
        tables = {key: values.pop(key) for key in ("codes", "metrics")}
        preprocessing = values.pop("preprocessing")
        lines = [*_entries(values), "", "[preprocessing]", *_entries(preprocessing)]
        for key, entries in tables.items():
            for entry in entries:
                lines += ["", f"[[{key}]]", *_entries(entry)]
        return "\n".join(lines) + "\n"


def _entries(values: dict[str, object]) -> list[str]:
    return [f"{key} = {_toml(value)}" for key, value in values.items()]


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
        raise BundleError(folder_name, tuple(f"card.toml: {problem}" for problem in problems))
    card = _card(table)
    wrong = [*card.preprocessing.problems(), *_codes_problems(card)]
    wrong += [problem for metric in card.metrics for problem in metric.problems()]
    if wrong:
        raise BundleError(folder_name, tuple(f"card.toml: {problem}" for problem in wrong))
    return card


def _card(table: dict[str, Any]) -> Card:
    """The card of a table without problems."""
    settings_type: Any = TASKS[table["task"]].settings_type()
    settings = {k: _frozen(v) for k, v in table.get("preprocessing", {}).items()}
    return Card(
        **{key: table[key] for key in _TEXTS},
        classes=tuple(table["classes"]),
        training=Training(table["training"]),
        use=IntendedUse(table.get("use", IntendedUse.NONE)),
        training_data=table.get("training_data", ""),
        preprocessing=settings_type(**settings),
        codes=tuple(FindingClass(**code) for code in table.get("codes", [])),
        metrics=tuple(Metric(**metric) for metric in table.get("metrics", [])),
    )


def _codes_problems(card: Card) -> list[str]:
    """Codes of no class or of one twice, and those that no DICOM code can hold."""
    found = [problem for each in card.codes for problem in each.problems()]
    names = [each.name for each in card.codes]
    found += [f"code of {name!r}, which is no class" for name in names if name not in card.classes]
    return found + (["two codes of one class"] if len(set(names)) < len(names) else [])


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _entry_problems(table: dict[str, Any]) -> list[str]:
    """Entries that are missing, unknown or of the wrong type."""
    known = {f.name for f in fields(Card)}
    found = [f"unknown entry {key!r}" for key in table if key not in known]
    found += [f"no {key}" for key in sorted(known - set(table) - _OPTIONAL)]
    texts = [key for key in (*_TEXTS, *_OPTIONAL_TEXTS, "training") if key in table]
    found += [f"{key} is no text" for key in texts if not isinstance(table[key], str)]
    classes = table.get("classes", [])
    if not isinstance(classes, list) or not all(isinstance(c, str) and c for c in classes):
        found.append("classes is no list of names")
    for key, pattern in _TABLES.items():
        found += _tables_problems(key, table.get(key, []), pattern)
    return found


_TABLES = {
    "codes": FindingClass("", "", "", "", ""),
    "metrics": Metric("", 0.0, 0.0, 0.0, "", 1),
}
"""Entries that are lists of tables, each with a pattern of one of them."""


def _tables_problems(name: str, tables: object, pattern: Any) -> list[str]:
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        return [f"{name} is no list of tables"]
    required = {f.name for f in fields(pattern)} - {"confidence"}
    found = []
    for number, each in enumerate(tables):
        found += _table_problems(f"{name}[{number}]", each, pattern)
        found += [f"no {name}[{number}].{key}" for key in sorted(required - set(each))]
    return found


def _table_problems(name: str, table: object, pattern: Any) -> list[str]:
    """Entries that the dataclass `pattern` does not have, or has with values of another kind."""
    if not isinstance(table, dict):
        return [f"{name} is no table"]
    known = {f.name: getattr(pattern, f.name) for f in fields(pattern)}
    found = [f"unknown entry {name}.{key}" for key in table if key not in known]
    for key, value in table.items():
        if key in known and not _same_kind(value, known[key]):
            found.append(f"{name}.{key} is no {_kind(known[key])}")
    return found


def _same_kind(value: object, pattern: object) -> bool:
    """Whether TOML's value can stand for the pattern: an integer may stand for a float."""
    if isinstance(pattern, tuple):
        same_length = isinstance(value, list) and len(value) == len(pattern)
        return same_length and all(map(_same_kind, value, pattern))  # type: ignore[call-overload]
    if isinstance(pattern, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is type(pattern)


def _kind(pattern: object) -> str:
    if isinstance(pattern, tuple):
        return f"list of {len(pattern)} values of the right kind"
    return "text" if isinstance(pattern, str) else "number of the right kind"


def _value_problems(table: dict[str, Any]) -> list[str]:
    """Entries of the right type whose value cannot be used."""
    found = []
    for key, allowed in (("training", Training), ("use", IntendedUse)):
        if table.get(key, IntendedUse.NONE) not in list(allowed):
            found.append(f"{key} {table[key]!r} is none of {', '.join(allowed)}")
    if not re.fullmatch(r"[\w-][\w.-]*", table["weights"]):
        found.append(f"weights {table['weights']!r} is no plain file name")
    if not re.fullmatch(r"[0-9a-f]{64}", table["weights_sha256"]):
        found.append("weights_sha256 is not 64 lower-case hexadecimal digits")
    for key in ("name", "version"):
        if not 1 <= len(table[key]) <= _LONGEST_NAME:
            found.append(f"{key} is not 1 to {_LONGEST_NAME} characters long")
    return found + _task_problems(table)


def _task_problems(table: dict[str, Any]) -> list[str]:
    """What does not fit the card's task: unknown task, classes, input settings."""
    task = TASKS.get(table["task"])
    if task is None:
        return [f"task {table['task']!r} is none of {', '.join(TASKS)}"]
    pattern = task.settings_type()()
    settings = _table_problems("preprocessing", table.get("preprocessing", {}), pattern)
    return [*task.class_problems(table["classes"]), *settings]
