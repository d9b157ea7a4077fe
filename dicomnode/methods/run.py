"""Every method on one volume, each by itself: a failure of one does not cost another's answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from dicomnode.decisions.method_failure import MethodFailure
from dicomnode.decisions.reasons import Reason, Verdict
from dicomnode.errors import DataError
from inference.errors import InferenceError, NetworkOutputError, NoLungsError, VolumeError
from inference.findings import Findings, FoundLungs, Method
from inference.progress import Progress
from inference.volume import CtVolume

T = TypeVar("T")

Outcome = Findings | MethodFailure
"""What one method comes to."""

LACK_OF_MEMORY = "memory"
"""The rule of a method that fails for want of it."""

_OUT_OF_MEMORY = ("out of memory", "allocate memory", "bad_alloc", "bad allocation")
"""What PyTorch, its allocators and OpenVINO say in a RuntimeError, in lower case."""


def run_methods(
    methods: Sequence[Method],
    volume: CtVolume,
    lungs: FoundLungs,
    progress: Progress | None = None,
) -> tuple[Outcome, ...] | Reason:
    """What each method comes to, in order; the Reason when none sees enough lung.

    Raises:
        DataError: no method came to findings; names the rule and why, of each method.
    """
    outcomes = [
        attempt(each, partial(each.analyse, volume, lungs.mask, progress)) for each in methods
    ]
    failures = [each for each in outcomes if isinstance(each, MethodFailure)]
    return _nothing(failures) if len(failures) == len(outcomes) else tuple(outcomes)


def attempt(method: Method, run: Callable[[], T]) -> T | MethodFailure:
    """What `run` gives, or why it could not: the volume, the numbers, or no memory for them.

    Any other error is a fault of ours, and raised as it is.
    """

    def failed(rule: str, value: str, limit: str | None = None) -> MethodFailure:
        name = f"{method.identity.name} {method.identity.version}"
        return MethodFailure(method.title.key, method.title.words, name, rule, value, limit)

    try:
        return run()
    except NoLungsError as error:
        reason = no_lungs(error)
        return failed(reason.rule, str(reason.value), str(reason.limit))
    except (NetworkOutputError, VolumeError) as error:
        return failed(rule_of(error), str(error))
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        return failed(LACK_OF_MEMORY, "out of memory")


def rule_of(error: InferenceError) -> str:
    """The rule that an error of a method is told under."""
    return "volume" if isinstance(error, VolumeError) else "network_output"


def no_lungs(error: NoLungsError) -> Reason:
    """What was found too little of, and how much was asked for."""
    found, limit = f"{error.found:.0f} {error.unit}", f"at least {error.limit:.0f} {error.unit}"
    return Reason("lungs", f"{error.what}: {found}", limit, Verdict.FAIL)


def _is_out_of_memory(error: Exception) -> bool:
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(each in text for each in _OUT_OF_MEMORY)


def _nothing(failures: Sequence[MethodFailure]) -> Reason:
    """Too little lung for every method is a reason to skip the series, all else a failure."""
    first = next((each for each in failures if each.rule != "lungs"), None)
    if first is None:
        short = failures[0]
        return Reason(short.rule, short.value, short.limit, Verdict.FAIL)
    if len(failures) == 1:
        raise DataError(first.rule, first.value, first.limit)
    raise DataError(first.rule, "; ".join(f"{each.words}: {each.why}" for each in failures))
