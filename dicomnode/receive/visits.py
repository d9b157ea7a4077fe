"""What each association brought: told in one line when it ends, and recorded by study."""

from __future__ import annotations

import logging
import threading
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from pynetdicom.association import Association

from dicomnode.audit import trail
from dicomnode.audit.events import Outcome, Peer, Transferred
from dicomnode.clock import Clock
from dicomnode.decisions.arrival.admission import printable_ae_title
from dicomnode.decisions.wording import how_many
from dicomnode.dicom_files.identity import Identity
from dicomnode.logs import of_fields
from storage.records import AssociationEnd

log = logging.getLogger(__name__)

MOST_STUDIES = 100
"""Studies of one association that are held in memory; with more, those that came are recorded."""

_NO_STUDY = "unknown"
_Counts = defaultdict[str, Counter[str]]


def _counts() -> _Counts:
    return defaultdict(Counter)


@dataclass
class _Visit:
    """`came` and `refused`: instances by study and SOP class; `statuses`: of those refused."""

    peer: Peer
    began: float
    instances: int = 0
    size_bytes: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    came: _Counts = field(default_factory=_counts)
    refused: _Counts = field(default_factory=_counts)
    patients: dict[str, str] = field(default_factory=dict)


class Visits:
    """Safe for threads: an association has its own, and another may tell that it ended."""

    def __init__(self, clock: Clock, *, patient_ids: bool = False) -> None:
        """`patient_ids`: whether the audit trail names patients."""
        self._clock, self._patient_ids = clock, patient_ids
        self._open: WeakKeyDictionary[Association, _Visit] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def began(self, association: Association) -> None:
        """It was accepted."""
        requestor = association.requestor
        peer = Peer(printable_ae_title(requestor.ae_title), str(requestor.address))
        with self._lock:
            self._open[association] = _Visit(peer, self._clock.seconds())

    def came(self, association: Association, identity: Identity, size_bytes: int) -> None:
        """An instance was stored."""
        with self._lock:
            visit = self._open.get(association)
            if visit is None:  # told already: the connection broke in the meantime
                return
            visit.instances += 1
            visit.size_bytes += size_bytes
            study = identity.study_instance_uid
            visit.came[study][identity.sop_class_uid] += 1
            if self._patient_ids:
                visit.patients[study] = identity.patient_id
            many = len(visit.came) >= MOST_STUDIES
            if many:
                _record(visit)

    def refused(self, association: Association, sop_class_uid: str, status: int) -> None:
        """A C-STORE request was answered with a failure."""
        with self._lock:
            visit = self._open.get(association)
            if visit is not None:
                visit.statuses[f"0x{status:04X}"] += 1
                visit.refused[_NO_STUDY][sop_class_uid] += 1

    def ended(self, association: Association, end: AssociationEnd) -> None:
        """However it did; again, it changes nothing."""
        with self._lock:
            visit = self._open.pop(association, None)
        if visit is not None:
            self._tell(visit, end)
            _record(visit)

    def _tell(self, visit: _Visit, end: AssociationEnd) -> None:
        seconds = self._clock.seconds() - visit.began
        log.info(
            "association of %s (%s) %s after %.1f s: %s, %.1f MB%s",
            visit.peer.ae_title,
            visit.peer.address,
            end.value,
            seconds,
            how_many(visit.instances, "instance"),
            visit.size_bytes / 1e6,
            "".join(f", {count} refused ({status})" for status, count in visit.statuses.items()),
            extra=of_fields(
                event="association",
                ae_title=visit.peer.ae_title,
                address=visit.peer.address,
                ending=end.value,
                seconds=round(seconds, 3),
                instances=visit.instances,
                bytes=visit.size_bytes,
                refused=dict(visit.statuses),
            ),
        )


def _record(visit: _Visit) -> None:
    """A message for what came well of each study, and one for what did not (PS3.15 A.5.2)."""
    for study, classes in visit.came.items():
        patient = visit.patients.get(study, "")
        came = Transferred(True, visit.peer, study, tuple(classes.items()), patient_id=patient)
        trail.record(came)
    for study, classes in visit.refused.items():
        why = ", ".join(visit.statuses)
        failed = tuple(classes.items())
        trail.record(
            Transferred(True, visit.peer, study, failed, Outcome.MINOR_FAILURE, f"refused: {why}")
        )
    visit.came.clear()
    visit.refused.clear()
    visit.patients.clear()
