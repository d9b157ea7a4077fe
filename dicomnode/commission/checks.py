"""What was looked at, and whether it is as it must be."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import partial
from typing import Any


class Result(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    NOT_TESTED = "not tested"


@dataclass(frozen=True)
class Check:
    """One row of the sheet. `remedy`: what to set, of a failure; what to do by hand otherwise."""

    what: str
    result: Result
    found: str
    remedy: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


passed = partial(Check, result=Result.PASSED)
failed = partial(Check, result=Result.FAILED)
not_tested = partial(Check, result=Result.NOT_TESTED)


@dataclass(frozen=True)
class Part:
    """All checks of one destination, or of this machine."""

    about: str
    checks: tuple[Check, ...]

    def count(self, result: Result) -> int:
        return sum(each.result is result for each in self.checks)
