"""The card of a bundle, `card.toml`: what the weights are, what they were made for, their input."""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar, Generic

import tomli_w
from pydantic import AfterValidator, ConfigDict, Field
from typing_extensions import TypeVar

from inference.backends.precision import PrecisionWish
from inference.bundles.class_codes import known_classes
from inference.bundles.proof import ENGINES, PrecisionProof
from inference.bundles.tasks import TASKS, EngineOptions, InputSettings
from inference.entry_errors import FILE, read_entries
from inference.errors import BundleError
from inference.findings import FindingClass, IntendedUse, ModelIdentity, Training

TASK = "covnet"
"""The task of Li et al. 2020: COVNet on a ResNet-50."""
_PROSE = ("intended_use", "licence", "weights", "training_data", "metrics")
_OF_PRECISION = ("precision", "tolerated_change")
"""What comes of them is in the digest of an analysis: which precision was used."""

# these stand in DICOM attributes of VR LO (PS3.5 section 6.2)
_Name = Annotated[str, Field(min_length=1, max_length=64)]
_FileName = Annotated[str, Field(pattern=r"^[\w-][\w.-]*$", description="a plain file name")]
_Digest = Annotated[
    str,
    Field(pattern=r"^[0-9a-f]{64}$", description="64 lower-case hexadecimal digits"),
]
Settings_co = TypeVar("Settings_co", bound=InputSettings, default=InputSettings, covariant=True)


def known_task(name: str) -> str:
    """The name.

    Raises:
        ValueError: one of no task.
    """
    if name not in TASKS:
        raise ValueError(f"{name!r} is given, but it must be one of {', '.join(map(repr, TASKS))}")
    return name


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
class Card(Generic[Settings_co]):
    """`weights` is a file name within the bundle, `weights_sha256` its digest in hexadecimal.

    `use` is what the bundle's makers mean it for, `intended_use` the same in prose, with its
    limits; `training_data` says in prose what it learned from. `codes`: of classes, by name; those
    of usual names may be left out (`class_codes`). `precision`: what other precisions change;
    `tolerated_change`: as of a `Task`, None for that of the task.
    """

    __pydantic_config__: ClassVar[ConfigDict] = FILE

    name: _Name
    version: _Name
    task: Annotated[str, AfterValidator(known_task)]
    classes: tuple[Annotated[str, Field(min_length=1)], ...]
    training: Training
    intended_use: str
    licence: str
    weights: _FileName
    weights_sha256: _Digest
    preprocessing: Settings_co
    use: IntendedUse = IntendedUse.NONE
    training_data: str = ""
    codes: tuple[FindingClass, ...] = ()
    metrics: tuple[Metric, ...] = ()
    precision: tuple[PrecisionProof, ...] = ()
    tolerated_change: Annotated[float, Field(ge=0, le=1)] | None = None

    @property
    def tolerance(self) -> float:
        """What another precision may change at most (`Task.tolerated_change`)."""
        given = self.tolerated_change
        return TASKS[self.task].tolerated_change if given is None else given

    @property
    def proven(self) -> frozenset[str]:
        """The engines on which bfloat16 is within the tolerance, by each proof of these weights."""
        own = [each for each in self.precision if each.weights_sha256 == self.weights_sha256]
        failed = {each.engine for each in own if each.shortfalls(self.tolerance)}
        return frozenset(each.engine for each in own) - failed

    def wish(self, options: EngineOptions) -> PrecisionWish:
        """In which precision these weights may be computed with."""
        proven = ENGINES if options.unproven else self.proven
        return PrecisionWish(options.precision, proven, f"{self.name} {self.version}")

    @property
    def finding_classes(self) -> tuple[FindingClass, ...]:
        """The classes that results report, in order, with their codes.

        Raises:
            BundleError: `code_problems` tells of one.
        """
        if problems := self.code_problems:
            raise BundleError(self.name, problems)
        return tuple(each for each in self._coded.values() if each is not None)

    @property
    def code_problems(self) -> tuple[str, ...]:
        """Classes that no report could name, or tell apart; empty when there are none."""
        problems = [
            f"class {name!r} has no code to report it by"
            for name, each in self._coded.items()
            if each is None
        ]
        coded = [each for each in self._coded.values() if each is not None]
        if len({each.short for each in coded}) < len(coded):
            problems.append("the codes of two classes have the same short")
        if len({(each.scheme, each.value) for each in coded}) < len(coded):
            problems.append("two classes have the same code")
        return tuple(problems)

    @property
    def _coded(self) -> dict[str, FindingClass | None]:
        coded = {each.name: each for each in (*known_classes(self.reported), *self.codes)}
        return {name: coded.get(name) for name in self.reported}

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

        That is the weights' digest and the card without its prose, file name and proofs.
        """
        covered = asdict(self)
        for name in (*_PROSE, *_OF_PRECISION):
            del covered[name]
        text = json.dumps(covered, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def as_toml(self) -> str:
        """The card as text; `read_card` gives it back."""
        values = asdict(self)
        given = {key: value for key, value in values.items() if value not in ((), None)}
        return tomli_w.dumps(given)


def read_card(text: str, folder_name: str) -> Card:
    """
    Raises:
        BundleError: an entry is missing, unknown or unusable; names each.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BundleError(folder_name, (f"card.toml is not TOML: {error}",)) from error
    task = TASKS.get(str(table.get("task")))
    kind: Any = Card[task.settings_type() if task else dict[str, Any]]  # type: ignore[misc]
    found: Card | tuple[str, ...] = read_entries(kind, {"preprocessing": {}} | table)
    problems = _problems(found) if isinstance(found, Card) else found
    if isinstance(found, tuple) or problems:
        raise BundleError(folder_name, tuple(f"card.toml: {each}" for each in problems))
    return found


def _problems(card: Card) -> tuple[str, ...]:
    """What entries say that are right each for itself."""
    found = [*TASKS[card.task].class_problems(card.classes), *card.preprocessing.problems()]
    found += _codes_problems(card)
    found += [problem for metric in card.metrics for problem in metric.problems()]
    return (*found, *(problem for proof in card.precision for problem in proof.problems()))


def _codes_problems(card: Card) -> list[str]:
    """Codes of no class or of one twice, and those that no DICOM code can hold."""
    found = [problem for each in card.codes for problem in each.problems()]
    names = [each.name for each in card.codes]
    found += [f"code of {name!r}, which is no class" for name in names if name not in card.classes]
    return found + (["two codes of one class"] if len(set(names)) < len(names) else [])
