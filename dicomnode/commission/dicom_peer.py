"""The checks of a DICOM destination, from the connection to the withdrawal."""

from __future__ import annotations

import socket
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from dicomnode.commission.bench import Bench, Made, Withdraw
from dicomnode.commission.checks import Check, failed, not_tested, passed
from dicomnode.commission.commitment import commitment_check
from dicomnode.commission.tls_peer import tls_checks
from dicomnode.config.destinations import Destination
from dicomnode.decisions.arrival.admission import judge_admission
from dicomnode.decisions.delivery.class_advice import class_advice
from dicomnode.decisions.delivery.outcome import Ending, Outcome
from dicomnode.deliver.dicom_sender import COMPRESSED, dicom_sender, proposed_contexts
from dicomnode.deliver.sender import NoneTakenError, Sender, outcome_of
from dicomnode.errors import PeerCause, PeerError
from dicomnode.network.associations import associated, echo, requestor
from dicomnode.network.count_query import CONTEXTS as FIND_CONTEXTS
from dicomnode.network.count_query import CountQuery
from dicomnode.results.build import ResultObject
from dicomnode.results.common.uids import uid_name

_FIND_SECONDS = 20.0
"""An archive may list what it stored a moment later."""

_REMEDIES = {
    PeerCause.UNREACHABLE: "address and port of this destination; the firewall between",
    PeerCause.TLS: "tls of this destination",
    PeerCause.REJECTED: "ae_title of this destination; this node's AE title and address there",
    PeerCause.NO_DICOM: "port of this destination, and whether it wants TLS",
    PeerCause.NO_ANSWER: "see its log; delivery.timeout_seconds",
}


def dicom_checks(bench: Bench, destination: Destination, echo_seconds: float) -> Iterator[Check]:
    """Where it cannot be reached, the rest is not tested. `echo_seconds`: wait for its C-ECHO."""
    if destination.tls is not None:
        now = bench.patient.drawn_at
        yield from tls_checks(destination.address, destination.port, destination.tls, now)
    try:
        echo(destination, bench.settings.node.ae_title, bench.timeout)
    except PeerError as error:
        yield failed("C-ECHO to it", found=str(error), remedy=_REMEDIES.get(error.cause, ""))
        yield not_tested("all else", found="it cannot be reached")
        return
    where = f"{destination.ae_title} at {destination.address}:{destination.port}"
    yield passed("C-ECHO to it", found=f"{where} answers")
    yield _admission(bench, destination)
    yield _echo_from_it(bench, destination, echo_seconds)
    made = bench.make(destination)
    yield from _negotiation(bench, destination, made)
    yield from _storing(bench, destination, made)


def _admission(bench: Bench, destination: Destination) -> Check:
    """Whether it would be let in: it need be, to report on commitment, or to send CT."""
    what, title = "it is admitted to this node", bench.settings.node.ae_title
    policy = bench.settings.receive.admission.for_node(title)
    with suppress(OSError):
        address = str(socket.getaddrinfo(destination.address, None)[0][4][0])
        judged = judge_admission(destination.ae_title, title, address, policy)
        if judged.accepted:
            return passed(what, found=f"from {address}")
        line = f'{{ ae_title = "{destination.ae_title}", networks = ["{address}"] }}'
        if destination.storage_commitment:
            remedy = f"[receive.admission] peers: add {line}"
            return failed(what, found=f"{judged.why}: it cannot report", remedy=remedy)
        return not_tested(what, found=f"{judged.why}: no need, unless it sends CT")
    return not_tested(what, found="its address does not resolve")


def _echo_from_it(bench: Bench, destination: Destination, seconds: float) -> Check:
    what = "C-ECHO from it"
    if bench.node_runs:
        by_hand = "ask for one there, and look for it in the node's log; or stop the node"
        return not_tested(what, found="the node itself answers while it runs", remedy=by_hand)
    if bench.wait_for_echo(destination.ae_title.strip(), seconds):
        return passed(what, found=f"{destination.ae_title} was answered")
    if not seconds:
        by_hand = "give --echo-wait SECONDS, and start a C-ECHO to this node there"
        return not_tested(what, found="it cannot be asked for one", remedy=by_hand)
    place = f"{bench.settings.node.ae_title}, port {bench.settings.receive.ports[0]}"
    remedy = f"there: this node's AE title and port ({place}); here: [receive.admission]"
    return failed(what, found=f"none came within {seconds:g} s", remedy=remedy)


def _negotiation(bench: Bench, destination: Destination, made: Made) -> Iterator[Check]:
    """A row for each SOP class: what of its transfer syntaxes is accepted."""
    objects = [each for each, _ in (*made.objects, made.withdrawal)]
    classes = sorted({str(each.sop_class_uid) for each in objects})
    contexts = proposed_contexts(classes, compressed=destination.compressed)
    ae = requestor(
        bench.settings.node.ae_title, [*contexts, build_context(Verification)], bench.timeout
    )
    try:
        with associated(ae, destination) as association:
            yield from (_class_check(association, uid, destination) for uid in classes)
    except PeerError as error:
        yield failed("SOP classes", found=str(error), remedy=_REMEDIES.get(error.cause, ""))


def _class_check(association: Association, uid: str, destination: Destination) -> Check:
    syntaxes = [
        str(context.transfer_syntax[0].name)
        for context in association.accepted_contexts
        if context.abstract_syntax == uid
    ]
    what = f"takes {uid_name(uid)}"
    if not syntaxes:
        return failed(what, found="refused", remedy=class_advice(uid))
    found = ", ".join(syntaxes)
    if destination.compressed and uid in COMPRESSED and COMPRESSED[uid].name not in syntaxes:
        return passed(what, found=found, remedy="no JPEG: leave compressed out")
    return passed(what, found=found)


def _storing(bench: Bench, destination: Destination, made: Made) -> Iterator[Check]:
    """Stored, found, committed, withdrawn: what was stored is withdrawn whatever failed."""

    def withdraw() -> Sequence[Check]:
        return _send(bench, destination, [made.withdrawal])[0]

    with bench.storing(destination, withdraw):
        yield from _stored(bench, destination, made, withdraw)


def _stored(
    bench: Bench, destination: Destination, made: Made, withdraw: Withdraw
) -> Iterator[Check]:
    checks, stored = _send(bench, destination, made.objects)
    yield from checks
    if not stored:
        yield not_tested("found, committed, withdrawn", found="nothing was stored")
        return
    yield _found(bench, destination, made, stored)
    if destination.storage_commitment:
        yield commitment_check(bench, destination, made)
    else:
        yield not_tested("storage commitment", found="not configured (storage_commitment)")
    yield from withdraw()
    yield withdrawn_by_hand(bench, destination.rejection_notes)


def withdrawn_by_hand(bench: Bench, rejection_notes: bool) -> Check:
    """What only a person at the archive can see."""
    kind = "hidden, or shown as rejected" if rejection_notes else "shown as withdrawn"
    return not_tested(
        "what its viewer shows",
        found=f"Patient ID {bench.patient.patient_id}",
        remedy=f"see that its results are {kind}; then delete that study there",
    )


def _send(
    bench: Bench, destination: Destination, objects: Sequence[tuple[ResultObject, Path]]
) -> tuple[list[Check], set[str]]:
    """A row for each SOP class; the UIDs of what was stored."""
    classes = sorted({str(each.sop_class_uid) for each, _ in objects})
    title = bench.settings.node.ae_title
    try:
        with dicom_sender(destination, title, classes, bench.timeout) as sender:
            return send_all(sender, objects)
    except PeerError as error:
        remedy = _REMEDIES.get(error.cause, "")
        return [failed("C-STORE", found=str(error), remedy=remedy)], set()


def send_all(
    sender: Sender, objects: Sequence[tuple[ResultObject, Path]]
) -> tuple[list[Check], set[str]]:
    """As `_send`, by any way to a destination.

    Raises:
        NoneTakenError: what came of the first object would come of every other. Of a later one it
            is an answer as any: what was stored has to be withdrawn.
    """
    outcomes: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
    stored: set[str] = set()
    for each, path in objects:
        try:
            outcome = sender.send(path)
        except PeerError as error:
            if isinstance(error, NoneTakenError) and not stored:
                raise
            outcome = outcome_of(error)
        key = ("withdrawal" if each.kind == "retraction" else "stores", str(each.sop_class_uid))
        outcomes[key].append(outcome)
        if outcome.ending is Ending.STORED:
            stored.add(str(each.sop_instance_uid))
    return [_store_check(*key, found) for key, found in outcomes.items()], stored


def _store_check(what: str, uid: str, outcomes: Sequence[Outcome]) -> Check:
    words = f"{what} {uid_name(uid)}" if what == "stores" else f"{what}: {uid_name(uid)}"
    bad = [each for each in outcomes if each.ending is not Ending.STORED]
    found = f"{len(outcomes) - len(bad)} of {len(outcomes)}"
    warnings = sorted({each.shown for each in outcomes if each.warning})
    if not bad:
        return passed(words, found="; ".join([found, *warnings]))
    remedy = class_advice(uid) if bad[0].ending is Ending.HOPELESS else "see its log"
    return failed(words, found=f"{found}: {bad[0].shown}", remedy=remedy)


def _found(bench: Bench, destination: Destination, made: Made, stored: set[str]) -> Check:
    what = "C-FIND finds what was stored"
    ae = requestor(bench.settings.node.ae_title, FIND_CONTEXTS, bench.timeout)
    try:
        with associated(ae, destination) as association:
            query = CountQuery(association, bench.timeout, 10 * len(made.objects))
            missing = _missing(query, made, stored)
    except PeerError as error:
        remedy = "nothing, unless it is asked for counts ([query]) or commitment"
        return not_tested(what, found=f"it does not answer: {error}", remedy=remedy)
    if missing:
        return failed(what, found=f"{len(missing)} of {len(stored)} are missing", remedy="its log")
    return passed(what, found=f"all {len(stored)} objects")


def _missing(query: CountQuery, made: Made, stored: set[str]) -> set[str]:
    """Those that it does not list, also not after a while."""
    until = time.monotonic() + _FIND_SECONDS
    while True:
        found = {uid for series in made.series for uid in query.instances(*series)}
        if stored <= found or time.monotonic() > until:
            return stored - found
        time.sleep(1.0)
