"""All checks, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from dicomnode.commission.bench import Bench
from dicomnode.commission.checks import Check, Part, failed
from dicomnode.commission.dicom_peer import dicom_checks
from dicomnode.commission.machine import machine_checks
from dicomnode.commission.web_peer import web_checks
from dicomnode.config.destinations import AnyDestination, Destination
from dicomnode.config.settings import Settings
from dicomnode.errors import ConfigurationError

THIS_NODE = "this node"
Tell = Callable[[str, Check], None]


def chosen(settings: Settings, names: Sequence[str]) -> tuple[AnyDestination, ...]:
    """The destinations of these names; all of them for none.

    Raises:
        ConfigurationError: a name that no destination bears.
    """
    known = {each.name: each for each in settings.destinations}
    unknown = [name for name in names if name not in known]
    if unknown:
        text = ", ".join(known) or "none is configured"
        raise ConfigurationError(f"no destination is called {', '.join(unknown)} (there: {text})")
    return tuple(known[name] for name in names) if names else settings.destinations


def run_checks(
    bench: Bench, destinations: Sequence[AnyDestination], echo_seconds: float, tell: Tell
) -> tuple[Part, ...]:
    """`tell` is told of each check as it is done, with what it is about."""
    parts = [_part(THIS_NODE, machine_checks(bench), tell)]
    for each in destinations:
        parts.append(_part(each.name, _of_destination(bench, each, echo_seconds), tell))
    return tuple(parts)


def _of_destination(
    bench: Bench, destination: AnyDestination, echo_seconds: float
) -> Iterator[Check]:
    if isinstance(destination, Destination):
        return dicom_checks(bench, destination, echo_seconds)
    return web_checks(bench, destination)


def _part(about: str, checks: Iterable[Check], tell: Tell) -> Part:
    done = []
    for each in checks:
        tell(about, each)
        done.append(each)
    return Part(about, tuple(done))


def no_destination() -> Part:
    """Of a node that has none: its results stay, and nobody would see them."""
    remedy = "add [[destinations]]"
    return Part("destinations", (failed("destinations", found="none", remedy=remedy),))
