"""What is accepted of peers: SOP classes, transfer syntaxes, associations, and the answers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from pydicom._uid_dict import UID_dictionary

from dicomnode.commitment import answering, reports
from dicomnode.config.settings import Settings
from dicomnode.conformance.contexts import contexts_table, heading
from dicomnode.decisions.arrival.admission import RejectReason
from dicomnode.decisions.arrival.negotiation import ContextResult, judge_storage_context
from dicomnode.decisions.arrival.store_answer import STORE_ANSWERS, SUCCESS
from dicomnode.decisions.delivery.store_status import shown
from dicomnode.decisions.eligibility.attribute_rules import CT_IMAGE_CLASSES, DECODABLE
from dicomnode.fast_scp.storage_classes import is_storage_class
from dicomnode.receive.serving import storage_ae
from dicomnode.receive.waiting_room import LOCAL_LIMIT_EXCEEDED
from dicomnode.results.common.uids import uid_name
from inference.evaluation.report.document import Block, Paragraph, Table

_REJECTIONS = {
    RejectReason.CALLING_AE_TITLE_NOT_RECOGNIZED.value: (
        "the calling AE title is not configured ([receive.admission] peers), or not from this"
        " address"
    ),
    RejectReason.CALLED_AE_TITLE_NOT_RECOGNIZED.value: "the called AE title is not one of ours",
    RejectReason.NO_REASON_GIVEN.value: "a fault of this program",
    LOCAL_LIMIT_EXCEEDED: "all places are taken, and none came free in time",
}
_COMMITMENT_ANSWERS = {
    SUCCESS: "taken; for a request, the report follows",
    answering.NO_SUCH_INSTANCE: "N-ACTION: not the well-known SOP instance",
    reports.NO_SUCH_EVENT_TYPE: "N-EVENT-REPORT: neither event type 1 nor 2",
    reports.INVALID_ARGUMENT: "cannot be read, or names a transaction unknown here",
    reports.NO_SUCH_CLASS: "not the Push Model",
    answering.NO_SUCH_ACTION: "N-ACTION: not action type 1",
    reports.RESOURCE_LIMITATION: "the database is away; ask again later",
}


@cache
def storage_classes() -> tuple[str, ...]:
    """UIDs of the storage SOP classes that the dictionary knows and the node accepts."""
    known = (uid for uid, entry in UID_dictionary.items() if entry[1] == "SOP Class")
    return tuple(uid for uid in known if is_storage_class(uid))


@cache
def storage_syntaxes() -> tuple[str, ...]:
    """UIDs of the transfer syntaxes that the standard knows and the node accepts for them."""
    known = [uid for uid, entry in UID_dictionary.items() if entry[1] == "Transfer Syntax"]
    known += sorted(DECODABLE.difference(known))
    accepted = ContextResult.ACCEPTED
    return tuple(uid for uid in known if judge_storage_context(True, [uid]).result is accepted)


def acceptance(settings: Settings) -> Iterator[Block]:
    """4.2.1.4."""
    yield heading("4.2.1.4 Association acceptance policy")
    yield Paragraph(
        "Who is not admitted by calling AE title, address and called AE title is rejected before"
        " any presentation context is looked at, also for C-ECHO."
    )
    rows = tuple((*map(str, numbers), why) for numbers, why in _REJECTIONS.items())
    yield Table(("Result", "Source", "Reason/Diag.", "When"), rows)
    yield from _storage_service()
    yield from _other(settings)


def _storage_service() -> Iterator[Block]:
    yield heading("4.2.1.4.1 Activity: receive instances (Storage, SCP)")
    yield Paragraph(
        "Each instance is stored as it came, byte for byte, and answered when it is durable. Which"
        " series are analysed is decided later: an instance that is not for analysis is accepted"
        " all the same. It is Level 2 (Full) storage for as long as retention keeps it; nothing can"
        " be retrieved from this node."
    )
    yield heading("4.2.1.4.1.1 Accepted presentation contexts")
    yield Paragraph(
        "Every storage SOP class of a patient's instance, in role SCP: the standard ones below,"
        " private ones, and such as the standard will name. A class that is no storage class is"
        " answered with abstract syntax not supported (3)."
    )
    yield Table(
        ("SOP class", "UID", "Analysed"),
        tuple(
            (uid_name(uid), uid, "if eligible" if uid in CT_IMAGE_CLASSES else "no")
            for uid in storage_classes()
        ),
    )
    yield heading("4.2.1.4.1.2 Accepted transfer syntaxes")
    yield Table(
        ("Transfer syntax", "UID", "Pixels decoded"),
        tuple(
            (uid_name(uid), uid, "yes" if uid in DECODABLE else "no: stored, not analysed")
            for uid in storage_syntaxes()
        ),
    )
    yield Paragraph(
        "Of the transfer syntaxes of one presentation context the first is taken whose pixels can"
        " be decoded here; where there is none, the first that can be parsed. Where there is none"
        " either, the context is answered with transfer syntaxes not supported (4)."
    )
    yield heading("4.2.1.4.1.3 Answers to C-STORE")
    yield Table(
        ("Status", "Meaning", "When"),
        tuple((shown(row.status), row.name, row.when) for row in STORE_ANSWERS),
    )


def _other(settings: Settings) -> Iterator[Block]:
    yield heading("4.2.1.4.2 Activity: verification and storage commitment (SCP)")
    yield Paragraph(
        "C-ECHO is answered with 0x0000. A request for storage commitment (N-ACTION, Push Model) is"
        " answered when it is in the database; its report goes over the same association if that"
        " stays open, else over one that this node opens to the configured address of the peer."
        " Reports on our own requests are taken over either side's association."
    )
    yield heading("4.2.1.4.2.1 Other accepted presentation contexts")
    ae = storage_ae(settings.node.ae_title, settings.receive)
    yield contexts_table(ae.supported_contexts, "SCP; for storage commitment SCU too")
    yield Table(
        ("Status of N-ACTION or N-EVENT-REPORT", "When"),
        tuple((shown(status), when) for status, when in _COMMITMENT_ANSWERS.items()),
    )
