"""What the workers of this machine have: by it they claim no job that asks for more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dicomnode.config.settings import Settings
from dicomnode.methods.bundles import Engines

CPU, GPU = "cpu", "gpu"
_GIB = 1 << 30
_CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Ability:
    """`capabilities`: by name, as jobs ask for them. `memory_bytes`: of one worker at most."""

    capabilities: frozenset[str]
    memory_bytes: int

    @property
    def claims(self) -> frozenset[str]:
        """What a job may ask for that such a worker claims: nothing, too."""
        return self.capabilities | {""}


def ability_of(settings: Settings, engines: Engines) -> Ability:
    """Of a worker with these engines: what the site says, and what is seen by itself."""
    inference = settings.inference
    devices = {getattr(each, "device", CPU) for each in engines.methods}
    seen = {CPU, GPU} if any(each.startswith("cuda") for each in devices) else {CPU}
    said = int(inference.memory_gib * _GIB)
    return Ability(frozenset({*inference.capabilities, *seen}), said or machine_memory())


def series_at_once(settings: Settings, engines: Engines) -> int:
    """How many series one worker analyses at the same time: more than one only where all networks
    run on PyTorch; what OpenVINO gives is void at its next call."""
    network = getattr(engines.lungs, "network", None)
    networks = (*engines.methods, *([] if network is None else [network]))
    may = all(getattr(each, "backend", "torch") == "torch" for each in networks)
    return settings.inference.at_once if may else 1


def machine_memory(cgroups: Path = _CGROUPS, own: Path = Path("/proc/self/cgroup")) -> int:
    """Bytes that this process may have: of the machine, or of the container or job it is in
    (cgroups, version 2), whichever is less."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min((whole, *_limits(cgroups, own)))


def _limits(cgroups: Path, own: Path) -> Iterator[int]:
    lines = []
    with suppress(OSError):
        lines = own.read_text().splitlines()
    inside = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
    folder = cgroups / inside
    for each in (folder, *folder.parents):
        if each.is_relative_to(cgroups):
            with suppress(OSError, ValueError):  # no limit: "max"
                yield int((each / "memory.max").read_text())
