"""What came of sending the objects of a study: told in one line, and recorded."""

from __future__ import annotations

import logging
from collections import Counter

import pydicom
from pydicom.errors import InvalidDicomError

from dicomnode.audit import trail
from dicomnode.audit.events import Outcome as Success
from dicomnode.audit.events import Peer, Transferred
from dicomnode.config.destinations import AnyDestination, Destination
from dicomnode.decisions.delivery.outcome import Ending, Outcome
from dicomnode.decisions.wording import how_many
from dicomnode.logs import of_fields
from storage.errors import UnsafePathError
from storage.records import Delivery, ResultRecord
from storage.results import ResultFiles

log = logging.getLogger(__name__)

_WORDS = {
    Ending.STORED: "stored",
    Ending.AGAIN: "to be tried again",
    Ending.HOPELESS: "refused",
    Ending.OURS: "failed",
}


class Tally:
    """Of one study at one destination; for one thread."""

    def __init__(self, destination: AnyDestination, study_instance_uid: str) -> None:
        self._destination, self._study = destination, study_instance_uid
        self._settled: list[tuple[str, Ending, str]] = []

    def note(self, delivery: Delivery, outcome: Outcome) -> None:
        """What came of one object."""
        self._settled.append((delivery.result.sop_class_uid, outcome.ending, outcome.status))

    def tell(self, seconds: float, patient_id: str = "") -> None:
        """`seconds`: what it took. Nothing is told where nothing was settled."""
        if not self._settled:
            return
        counts = Counter((ending, status) for _class, ending, status in self._settled)
        log.info(
            "study %s to %s: %s in %.1f s%s",
            self._study,
            self._destination.name,
            ", ".join(
                f"{how_many(n, 'object')} {_WORDS[ending]} ({s})"
                for (ending, s), n in counts.items()
            ),
            seconds,
            self._of_promises,
            extra=of_fields(
                event="delivery",
                study=self._study,
                destination=self._destination.name,
                seconds=round(seconds, 3),
                objects={f"{ending.value} {s}": n for (ending, s), n in counts.items()},
            ),
        )
        self._record(patient_id)

    @property
    def _of_promises(self) -> str:
        """Storage commitment; DICOMweb knows none."""
        if not isinstance(self._destination, Destination) or not self._stored(well=True):
            return ""
        asked = self._destination.storage_commitment
        return "; its promise to keep them is asked for" if asked else "; without its promise"

    def _stored(self, *, well: bool) -> list[tuple[str, Ending, str]]:
        return [each for each in self._settled if (each[1] is Ending.STORED) == well]

    def _record(self, patient_id: str) -> None:
        """A message for what went well, and one for what did not (PS3.15 A.5.2)."""
        to = self._destination
        peer = Peer(to.ae_title, to.address) if isinstance(to, Destination) else Peer(to.name)
        for well in (True, False):
            if some := self._stored(well=well):
                outcome = Success.SUCCESS if well else Success.MINOR_FAILURE
                classes = tuple(Counter(each[0] for each in some).items())
                why = "" if well else ", ".join(sorted({each[2] for each in some}))
                trail.record(
                    Transferred(False, peer, self._study, classes, outcome, why, patient_id)
                )


def patient_id_of(files: ResultFiles, sent: ResultRecord) -> str:
    """Of a file that was sent; empty where it cannot be read."""
    try:
        (file,) = files.bring([sent])
        return str(pydicom.dcmread(file, specific_tags=["PatientID"]).get("PatientID", ""))
    except (OSError, InvalidDicomError, UnsafePathError):
        return ""
