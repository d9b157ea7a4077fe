"""Both methods on one volume, each by itself: a failure of one does not cost the other's answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from dicomnode.decisions.method_failure import Method, MethodFailure
from dicomnode.decisions.reasons import Reason, Verdict
from dicomnode.errors import DataError
from dicomnode.methods.bundles import Engines
from inference.errors import InferenceError, NetworkOutputError, NoLungsError, VolumeError
from inference.findings import CovnetFindings, ModelIdentity
from inference.location_attention.findings import RegionFindings
from inference.progress import Progress
from inference.volume import CtVolume

if TYPE_CHECKING:
    from inference.covnet.engine import FoundLungs

T = TypeVar("T")

_OUT_OF_MEMORY = ("out of memory", "allocate memory", "bad_alloc", "bad allocation")
"""What PyTorch, its allocators and OpenVINO say in a RuntimeError, in lower case."""


@dataclass(frozen=True, eq=False)
class MethodFindings:
    """`covnet`, `regions`: None where that method failed or is not configured; never both."""

    covnet: CovnetFindings | None
    regions: RegionFindings | None
    failures: tuple[MethodFailure, ...]


def run_methods(
    engines: Engines, volume: CtVolume, lungs: FoundLungs, progress: Progress | None = None
) -> MethodFindings | Reason:
    """The findings of whichever method comes to some; the Reason when neither sees enough lung.

    Raises:
        DataError: no method came to findings; names the rule and why, of each method.
    """
    covnet, by_regions = engines.covnet, engines.regions
    failures: list[MethodFailure] = []
    whole = _kept(
        attempt(Method.LUNGS, covnet.identity, lambda: covnet.analyse(volume, progress, lungs)),
        failures,
    )
    regions = None
    if by_regions is not None:
        told = attempt(
            Method.REGIONS,
            by_regions.identity,
            lambda: by_regions.analyse(volume, lungs.mask, progress),
        )
        regions = _kept(told, failures)
    if whole is None and regions is None:
        return _nothing(failures)
    return MethodFindings(whole, regions, tuple(failures))


def attempt(method: Method, model: ModelIdentity, run: Callable[[], T]) -> T | MethodFailure:
    """What `run` gives, or why it could not: the volume, the numbers, or no memory for them.

    Any other error is a fault of ours, and raised as it is.
    """
    name = f"{model.name} {model.version}"
    try:
        return run()
    except NoLungsError as error:
        reason = no_lungs(error)
        return MethodFailure(method, name, reason.rule, str(reason.value), str(reason.limit))
    except (NetworkOutputError, VolumeError) as error:
        return MethodFailure(method, name, rule_of(error), str(error))
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        return MethodFailure(method, name, "memory", "out of memory")


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


def _kept(told: T | MethodFailure, failures: list[MethodFailure]) -> T | None:
    if isinstance(told, MethodFailure):
        failures.append(told)
        return None
    return told


def _nothing(failures: list[MethodFailure]) -> Reason:
    """Too little lung for every method is a reason to skip the series, all else a failure."""
    first = next((each for each in failures if each.rule != "lungs"), None)
    if first is None:
        short = failures[0]
        return Reason(short.rule, short.value, short.limit, Verdict.FAIL)
    if len(failures) == 1:
        raise DataError(first.rule, first.value, first.limit)
    raise DataError(first.rule, "; ".join(f"{each.method.words}: {each.why}" for each in failures))
