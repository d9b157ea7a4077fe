"""A Ray cluster as the placer sees it: an actor for each worker.

No actor is restarted by Ray: one that is lost is placed anew, by the same rule as all others.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import ray
from ray._raylet import GcsClient
from ray.exceptions import RayError

from dicomnode.placement.host import Host, Order
from dicomnode.placement.placer import Ended

log = logging.getLogger(__name__)

_STOP_SECONDS = 12.0
"""From the wish to stop: a worker has handed back its job by then."""

_KEEP_SECONDS = 10.0
"""So often each worker is told that it is wanted still; see `host.UNASKED_SECONDS`."""

_ACTOR: dict[str, Any] = {
    "max_restarts": 0,
    "max_concurrency": 4,  # `keep` and `stop` are called while `wait` waits
    "scheduling_strategy": "SPREAD",
}


@dataclass
class _Placed:
    actor: Any
    found: Any  # where it is, as soon as it has a place
    end: Any  # its exit status, as soon as it has ended
    lasting: bool
    begun: float = field(default_factory=time.monotonic)
    name: str = "a worker that had no place yet"


class RayCluster:
    """Connected for as long as this process lives; once in a process."""

    def __init__(self, address: str, order: Order, cpus: float, gpus: float) -> None:
        """`cpus`, `gpus`: of each worker, as Ray counts them. `order`: of one that does not end.

        Raises:
            ConnectionError: nobody answers there, or no host of the cluster is on this machine.
        """
        self._order = order
        ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING)
        self._actors = ray.remote(Host).options(num_cpus=cpus, num_gpus=gpus, **_ACTOR)
        self._placed: list[_Placed] = []
        self._kept_at = time.monotonic()

    @property
    def count(self) -> int:
        return len(self._placed)

    @property
    def lasting(self) -> int:
        return sum(each.lasting for each in self._placed)

    def place(self, *, lasting: bool) -> None:
        order = self._order
        if not lasting:
            # what comes later makes the queue old again, and they are placed again
            until_empty = ("--until-empty", "--wait", "0")
            order = replace(order, arguments=(*order.arguments, *until_empty))
        actor = self._actors.remote(order)
        self._placed.append(_Placed(actor, actor.where.remote(), actor.wait.remote(), lasting))

    def ended(self) -> Iterator[Ended]:
        self._name_those_that_found_a_place()
        if time.monotonic() - self._kept_at >= _KEEP_SECONDS:
            self._kept_at = time.monotonic()
            for each in self._placed:
                if each.found is None:
                    each.actor.keep.remote()
        for each in self._done("end"):
            self._placed.remove(each)
            lived = time.monotonic() - each.begun
            try:
                yield Ended(each.name, lived, ray.get(each.end))
            except RayError as error:
                yield Ended(each.name, lived, None, _first_line(error))
            ray.kill(each.actor)

    def stop(self) -> None:
        """All of them, and wait for their ends for a while; what is left ends with this process."""
        for each in self._placed:
            each.actor.stop.remote()
        ends = [each.end for each in self._placed]
        if ends:
            ray.wait(ends, num_returns=len(ends), timeout=_STOP_SECONDS)

    def _name_those_that_found_a_place(self) -> None:
        for each in self._done("found"):
            try:
                host, pid = ray.get(each.found)
            except RayError:
                continue  # `end` tells
            finally:
                each.found = None
            each.name = f"the worker on {host} (process {pid})"
            each.begun = time.monotonic()
            log.info("%s has begun", each.name)

    def _done(self, what: str) -> list[_Placed]:
        """Those of which that is known by now."""
        awaited = {getattr(each, what): each for each in self._placed if getattr(each, what)}
        if not awaited:
            return []
        done, _ = ray.wait(list(awaited), num_returns=len(awaited), timeout=0, fetch_local=False)
        return [awaited[each] for each in done]


def identity_of(address: str) -> str:
    """Of the cluster whose head answers there; a head without a memory of before begins another.

    Raises:
        ConnectionError: none answers.
    """
    try:
        return str(GcsClient(address=address).cluster_id.hex())
    except RayError as error:
        raise ConnectionError(_first_line(error)) from error


def _first_line(error: RayError) -> str:
    text = next(iter(str(error).strip().splitlines()), "")
    return text or type(error).__name__
