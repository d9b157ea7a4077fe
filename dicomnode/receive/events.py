"""What happens at the receiver that the index has to know, and how it is written there."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from storage import index
from storage.records import Arrival, Association, AssociationEnd, StoredInstance

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AssociationEnded:
    association_id: str
    ended_at: datetime
    end: AssociationEnd


Event = Association | StoredInstance | AssociationEnded


def record(session: Session, batch: Iterable[Event], is_there: index.IsThere | None = None) -> None:
    """Write events to the index in their order."""
    instances: list[StoredInstance] = []
    for event in batch:
        if isinstance(event, StoredInstance):
            instances.append(event)
            continue
        _record_instances(session, instances, is_there)
        instances = []
        if isinstance(event, Association):
            index.open_association(session, event)
        else:
            index.end_association(session, event.association_id, event.ended_at, event.end)
    _record_instances(session, instances, is_there)


def _record_instances(
    session: Session, instances: list[StoredInstance], is_there: index.IsThere | None
) -> None:
    if not instances:
        return
    arrivals = index.record_instances(session, instances, is_there or _all_there)
    for instance, arrival in zip(instances, arrivals, strict=True):
        if arrival is Arrival.CONFLICT:
            log.warning(
                "instance %s came again from %s with other content or encoding; both are kept",
                instance.sop_instance_uid,
                instance.calling_ae_title,
            )
        elif arrival is Arrival.REMOVED:
            log.warning("instance %s was removed before it was indexed", instance.sop_instance_uid)


def _all_there(_path: str) -> bool:
    return True
