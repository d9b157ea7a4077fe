"""Whether a destination promises to keep what it stored (PS3.4 annex J)."""

from __future__ import annotations

import time

from pydicom.uid import generate_uid
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from dicomnode.commission.bench import Bench, Made
from dicomnode.commission.checks import Check, failed, passed
from dicomnode.commitment.asking import CONTEXTS, HOLD_SECONDS
from dicomnode.commitment.data_sets import PUSH_MODEL, REQUEST_COMMITMENT, action_information
from dicomnode.commitment.reports import Reports
from dicomnode.config.destinations import Destination
from dicomnode.decisions.delivery.store_status import shown
from dicomnode.errors import PeerError
from dicomnode.network.associations import SUCCESS, associated, requestor, unanswered
from storage import commitment_requests as requests

_WHAT = "storage commitment"
_LOOK_SECONDS = 0.1
_LONGEST_SECONDS = 60.0


def commitment_check(bench: Bench, destination: Destination, made: Made) -> Check:
    """Ask for the promise, and wait for its report: on the same association, then on ours."""
    uid = str(generate_uid(None))
    with bench.database.write() as session:
        requests.enter_trial(session, uid, destination.name, bench.patient.drawn_at)
    longest = min(destination.commitment_timeout_seconds, _LONGEST_SECONDS)
    at_first = min(HOLD_SECONDS, longest)
    handlers = {evt.EVT_N_EVENT_REPORT: Reports(bench.settings, bench.database).on_report}
    ae = requestor(bench.settings.node.ae_title, CONTEXTS, bench.timeout)
    try:
        with associated(ae, destination, handlers) as association:
            refusal = _ask(association, uid, made)
            if refusal is not None:
                return refusal
            reported = _wait(bench, uid, at_first)
    except PeerError as error:
        return failed(_WHAT, found=str(error), remedy="storage_commitment = false, if it has none")
    if reported is None:
        reported = _wait(bench, uid, longest - at_first)
    return _judged(reported, len(made.objects), longest)


def _ask(association: Association, uid: str, made: Made) -> Check | None:
    """None: it takes the request."""
    accepted = {str(each.abstract_syntax) for each in association.accepted_contexts}
    if PUSH_MODEL not in accepted:
        return failed(_WHAT, found="it offers none", remedy="storage_commitment = false")
    named = [(str(each.sop_class_uid), str(each.sop_instance_uid)) for each, _ in made.objects]
    try:
        status, _ = association.send_n_action(
            action_information(uid, named),
            REQUEST_COMMITMENT,
            StorageCommitmentPushModel,
            StorageCommitmentPushModelInstance,
        )
    except RuntimeError as error:  # not established any more
        raise unanswered(association, "N-ACTION") from error
    code = status.get("Status")
    if code == SUCCESS:
        return None
    found = "the request was not answered" if code is None else f"answered {shown(code)}"
    return failed(_WHAT, found=found, remedy="let this node's AE title ask for it there")


def _wait(bench: Bench, uid: str, seconds: float) -> int | None:
    """Of how many objects the report does not promise; None: none came in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with bench.database.read() as session:
            request = requests.find_request(session, uid)
        if request is not None and request.reported_at is not None:
            return request.failed or 0
        time.sleep(_LOOK_SECONDS)
    return None


def _judged(reported: int | None, objects: int, seconds: float) -> Check:
    if reported is None:
        remedy = "this node's AE title, address and port there; [receive.admission] here"
        return failed(_WHAT, found=f"no report within {seconds:g} s", remedy=remedy)
    if reported:
        found = f"it does not promise to keep {reported} of {objects} objects"
        return failed(_WHAT, found=found, remedy="see its log")
    return passed(_WHAT, found=f"it promises to keep all {objects} objects")
