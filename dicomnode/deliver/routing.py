"""Where the results of a series go, and in which variants they are made: by the configuration."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass

from dicomnode.config.destinations import AnyDestination, Destination
from dicomnode.config.settings import Settings
from dicomnode.decisions.delivery.routes import (
    ObjectKind,
    Taker,
    Target,
    senders_without_destination,
    takers,
    unreached,
    variants_of,
)
from dicomnode.decisions.result_options import Variant
from storage.canary_runs import CANARY_AE_TITLE
from storage.outbox import SR_STORAGE
from storage.records import NOTE_KIND, ResultRecord

log = logging.getLogger(__name__)

_KINDS = {
    "sr": ObjectKind.REPORT,
    "montage": ObjectKind.PICTURES,
    "key_slice": ObjectKind.PICTURES,
    "slice": ObjectKind.SLICES,
    "slices": ObjectKind.SLICES,
    "seg": ObjectKind.SEGMENTATION,
    "region_seg": ObjectKind.SEGMENTATION,
}
"""By `kind` of a `ResultObject`; any other, as of a file that no row told of, is a picture."""


@dataclass(frozen=True)
class Routing:
    """For the series of these senders (calling AE titles)."""

    takers: tuple[Taker, ...]
    of_all: Variant

    @property
    def variants(self) -> tuple[Variant, ...]:
        """Those that are to be made; that of `[results]` where nobody asks for one."""
        return variants_of(self.takers) or (self.of_all,)

    def destinations_of(self, result: ResultRecord) -> tuple[str, ...]:
        """Names of the destinations that get an object."""
        kind, choices = object_kind(result), result.choices.split()
        return tuple(each.name for each in self.takers if each.takes(kind, choices))


def object_kind(result: ResultRecord) -> ObjectKind:
    """The text of a note is in the place of a report, its page in that of the pictures."""
    if result.kind != NOTE_KIND:
        return _KINDS.get(result.kind, ObjectKind.PICTURES)
    is_text = result.sop_class_uid.startswith(SR_STORAGE)
    return ObjectKind.REPORT if is_text else ObjectKind.PICTURES


def routing(settings: Settings, senders: Collection[str], only_to: str | None = None) -> Routing:
    """For the series that these calling AE titles sent; `only_to`: as in its row.

    What the canary sent goes where `[canary]` says and nowhere else, what a campaign had sent to
    its one destination, whatever the routes are.
    """
    targets = _targets(settings)
    own = settings.canary.destinations if CANARY_AE_TITLE in senders else (only_to,)
    if CANARY_AE_TITLE in senders or only_to is not None:
        named = [each for each in targets if each.name in own]
        return Routing(takers((), named, senders), settings.results.variant)
    found = takers(settings.routes, targets, senders)
    return Routing(found, settings.results.variant)


def warn_of_senders(
    settings: Settings, series_key: str, senders: Collection[str], only_to: str | None = None
) -> None:
    """What leads nowhere is told in the log, when it should have led somewhere."""
    if CANARY_AE_TITLE in senders or only_to is not None:
        return
    for sender in senders_without_destination(settings.routes, _targets(settings), senders):
        text = "series %s: no destination has the AE title of its sender, %s: nothing goes back"
        log.warning(text, series_key, sender)
    if settings.destinations and not routing(settings, senders).takers:
        named = ", ".join(sorted(senders))
        log.warning("series %s: no route for what %s sends: its results stay", series_key, named)


def warn_of_unreached(settings: Settings) -> None:
    """Told when the deliverer starts: what waits for such a destination is sent all the same."""
    for name in unreached(settings.routes, [each.name for each in settings.destinations]):
        log.warning("destinations: no route leads to %s (routes, key `to`)", name)


def _targets(settings: Settings) -> tuple[Target, ...]:
    return tuple(_target(each, settings.results.variant) for each in settings.destinations)


def _target(destination: AnyDestination, of_all: Variant) -> Target:
    """A DICOMweb server has no AE title."""
    ae_title = destination.ae_title if isinstance(destination, Destination) else ""
    return Target(destination.name, ae_title, variant_for(destination, of_all))


def variant_for(destination: AnyDestination, of_all: Variant) -> Variant:
    """In which classes a destination gets results; `of_all`: where it asks for no others."""
    sr_class = destination.sr_class or of_all.sr_class
    return Variant(sr_class, destination.segmentation or of_all.segmentation)
