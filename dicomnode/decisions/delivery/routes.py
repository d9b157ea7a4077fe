"""Which destinations get an object: by who sent the CT series, and by its kind.

All routes that match a sender count together. Without any route every destination gets everything.
A note that nothing was analysed goes where the report would have gone, its page where the pictures
would have: who awaits an answer is also told that there is none. What withdraws an object goes
where the object went.

A route says where, a destination in which variant; neither changes what an object says, nor its
UID.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from dicomnode.decisions.policy import AeTitle, policy
from dicomnode.decisions.result_options import Variant

SENDER = "sender"
"""In the place of a destination's name: that, or those, with the AE title of the sender."""


class ObjectKind(StrEnum):
    """The objects of an analysis, as a route names them."""

    REPORT = "report"
    PICTURES = "pictures"  # the montage and the key slices
    SLICES = "slices"  # all slices, where they are asked for
    SEGMENTATION = "segmentation"


_IN_VARIANTS = frozenset({ObjectKind.REPORT, ObjectKind.SEGMENTATION})


@policy
class Route:
    """`senders`: calling AE titles of those who sent the CT series, exactly; empty for all.

    `objects`: empty for all kinds. `to`: names of destinations, or `SENDER`.
    """

    to: Annotated[tuple[str, ...], Field(min_length=1)]
    senders: tuple[AeTitle, ...] = ()
    objects: tuple[ObjectKind, ...] = ()

    @property
    def kinds(self) -> frozenset[ObjectKind]:
        return frozenset(self.objects or ObjectKind)

    def is_of(self, sender: str) -> bool:
        return not self.senders or sender in self.senders


@dataclass(frozen=True)
class Target:
    """A destination, as far as routes ask. `ae_title`: empty where it has none."""

    name: str
    ae_title: str
    variant: Variant


@dataclass(frozen=True)
class Taker:
    """A destination that gets these kinds of object of a series, in its variant."""

    name: str
    kinds: frozenset[ObjectKind]
    variant: Variant

    def takes(self, kind: ObjectKind, choices: Collection[str]) -> bool:
        """`choices`: those of a variant that show in the object."""
        return kind in self.kinds and self.variant.choices.issuperset(choices)


def takers(
    routes: Sequence[Route], targets: Sequence[Target], senders: Collection[str]
) -> tuple[Taker, ...]:
    """Who gets something of the series that `senders` sent, one series or those of one study."""
    found = (
        Taker(target.name, _kinds(routes, target, senders), target.variant) for target in targets
    )
    return tuple(each for each in found if each.kinds)


def _kinds(
    routes: Sequence[Route], target: Target, senders: Collection[str]
) -> frozenset[ObjectKind]:
    if not routes:
        return frozenset(ObjectKind)
    return frozenset(
        kind
        for route in routes
        for sender in senders
        if route.is_of(sender) and _leads_to(route, target, sender)
        for kind in route.kinds
    )


def _leads_to(route: Route, target: Target, sender: str) -> bool:
    back = SENDER in route.to and target.ae_title == sender
    return back or target.name in route.to


def variants_of(found: Sequence[Taker]) -> tuple[Variant, ...]:
    """The variants that are to be made, in an order that does not hang on that of the takers.

    Who gets neither reports nor segmentations asks for none.
    """
    asked = {each.variant for each in found if each.kinds & _IN_VARIANTS}
    return tuple(sorted(asked, key=lambda each: each.rank))


def senders_without_destination(
    routes: Sequence[Route], targets: Sequence[Target], senders: Collection[str]
) -> tuple[str, ...]:
    """Those to whom a route would have results go back, but no destination has their AE title."""
    known = {target.ae_title for target in targets}
    asked = (
        sender
        for sender in sorted(senders)
        if any(route.is_of(sender) and SENDER in route.to for route in routes)
    )
    return tuple(sender for sender in asked if sender not in known)


def unknown_names(routes: Sequence[Route], names: Sequence[str]) -> tuple[str, ...]:
    """A sentence for each name in a route that no destination bears."""
    known = (*names, SENDER)
    return tuple(
        f"routes.{at}.to: {name!r} is given, but it must be one of {', '.join(map(repr, known))}"
        for at, route in enumerate(routes)
        for name in route.to
        if name not in known
    )


def unreached(routes: Sequence[Route], names: Sequence[str]) -> tuple[str, ...]:
    """Destinations that no route leads to, and none could by way of `SENDER`."""
    named = {name for route in routes for name in route.to}
    if not routes or SENDER in named:
        return ()
    return tuple(name for name in names if name not in named)
