"""What the node opens associations for, what it proposes, and what it does with the answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydicom.datadict import dictionary_description
from pydicom.dataset import Dataset
from pynetdicom import build_context
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from dicomnode.commitment import asking, reporting
from dicomnode.config.destinations import AnyDestination, Destination, WebDestination
from dicomnode.config.settings import Settings
from dicomnode.conformance.contexts import contexts_table, heading
from dicomnode.conformance.made import MadeObjects
from dicomnode.decisions.delivery.commitment_status import COMMITMENT_FAILURES
from dicomnode.decisions.delivery.outcome import Ending
from dicomnode.decisions.delivery.store_status import STORE_STATUSES, StatusRow, shown
from dicomnode.decisions.delivery.stow_status import HTTP_STATUSES
from dicomnode.decisions.pulling import RETRIEVE_STATUSES
from dicomnode.deliver.dicom_sender import proposed_contexts
from dicomnode.deliver.sender import outcome_of
from dicomnode.errors import PeerCause, PeerError
from dicomnode.network import count_query, retrieve
from dicomnode.results.common.uids import uid_name
from inference.evaluation.report.document import Block, Paragraph, Table

_BEHAVIOUR = {
    Ending.STORED: "counted as stored",
    Ending.AGAIN: "sent again later, as [delivery.retry] says",
    Ending.HOPELESS: "not sent again before a person asks for it; the others go on",
    Ending.OURS: "not sent again before a person asks for it; a fault on this side",
}


def initiation(settings: Settings, made: MadeObjects) -> Iterator[Block]:
    """4.2.1.3."""
    yield heading("4.2.1.3 Association initiation policy")
    yield from _storage_service(settings, made)
    yield from _commitment(settings)
    yield from _find(settings)
    yield from _retrieve(settings)
    yield heading("4.2.1.3.6 Activity: verify a peer (Verification, SCU)")
    yield Paragraph("C-ECHO, when a person asks for it on the command line (commission, demo).")
    yield contexts_table([build_context(Verification)], "SCU")


def _storage_service(settings: Settings, made: MadeObjects) -> Iterator[Block]:
    yield heading("4.2.1.3.1 Activity: send results (Storage, SCU)")
    yield Paragraph(
        "When a series has been analysed, or was not and a note tells why, or results were"
        " withdrawn, its objects are sent to each destination that the routes name. One association"
        " carries all objects of a study that are due; it proposes the SOP classes of those objects"
        " alone, each transfer syntax in a presentation context of its own. An object is sent as"
        " its file is if that transfer syntax was accepted, else uncompressed in an accepted one."
    )
    dicom = settings.dicom_destinations
    for number, each in enumerate(dicom or (None,), start=1):
        name = "any destination" if each is None else each.name
        yield heading(f"4.2.1.3.1.{number} Proposed presentation contexts: {name}")
        yield contexts_table(_proposed(made, each), "SCU")
    yield heading(f"4.2.1.3.1.{len(dicom or (None,)) + 1} Behaviour on each status")
    yield Table(("Status", "Meaning", "Behaviour", "Advice"), _status_rows(STORE_STATUSES))
    yield Paragraph("Any other status: sent again later. Behaviour on failures of communication:")
    yield _causes()


def _proposed(made: MadeObjects, destination: Destination | None) -> list[PresentationContext]:
    compressed = destination is not None and destination.compressed
    return list(proposed_contexts(made.classes_for(destination), compressed=compressed))


def _status_rows(rows: Sequence[StatusRow]) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (_range(row), row.meaning, _BEHAVIOUR[row.ending], row.advice or "–") for row in rows
    )


def _range(row: StatusRow) -> str:
    return shown(row.first) + (f" to {shown(row.last)}" if row.last != row.first else "")


def _causes() -> Table:
    rows = ((each, outcome_of(PeerError("", each)).ending) for each in PeerCause)
    return Table(
        ("Failure", "Behaviour"), tuple((each.value, _BEHAVIOUR[how]) for each, how in rows)
    )


def _commitment(settings: Settings) -> Iterator[Block]:
    asked = [each.name for each in settings.dicom_destinations if each.storage_commitment]
    yield heading("4.2.1.3.2 Activity: ask for storage commitment (Push Model, SCU)")
    yield Paragraph(
        f"Asked: {', '.join(asked) or 'no destination as configured'}. Objects that were stored are"
        " asked for study by study; a report is taken on this association, which stays open for"
        f" {asking.HOLD_SECONDS:g} s, or on one that the peer opens. Without a report the request"
        " is repeated under a new Transaction UID; after commitment_attempts of them, or where no"
        " commitment is offered, C-FIND at IMAGE level tells whether the objects are there."
    )
    yield contexts_table(asking.CONTEXTS, "SCU")
    yield Table(
        ("Failure Reason", "Meaning", "Behaviour", "Advice"),
        tuple(
            (shown(row.reason), row.meaning, row.follow.value, row.advice or "–")
            for row in COMMITMENT_FAILURES
        ),
    )
    yield heading("4.2.1.3.3 Activity: report on storage commitment (Push Model, SCP)")
    yield Paragraph(
        "To a peer that asked, where its own association did not stay open. The role SCP is"
        " proposed by SCP/SCU Role Selection. Event type 1 when all objects are held, else 2."
    )
    yield contexts_table(reporting.CONTEXTS, "SCP (by role selection)")


def _find(settings: Settings) -> Iterator[Block]:
    peer = settings.query.peer
    yield heading("4.2.1.3.4 Activity: count the instances of a series (Study Root FIND, SCU)")
    yield Paragraph(
        f"Asked: {'nobody as configured' if peer is None else peer.name}. While a series arrives"
        " the peer is asked how many instances it has, to know when the series is complete. No"
        " relational queries; no extended negotiation; broken off by C-CANCEL after"
        f" {settings.query.most_matches} matches."
    )
    yield contexts_table(count_query.CONTEXTS, "SCU")
    keys = (count_query.series_key("1", "1"), count_query.image_key("1", "1"))
    rows = [row for key in keys for row in _key_rows(key)]
    yield Table(("Level", "Key", "Tag", "Matching"), tuple(rows))


def _retrieve(settings: Settings) -> Iterator[Block]:
    query = settings.query
    yield heading("4.2.1.3.5 Activity: pull series (Study Root FIND, MOVE or GET, SCU)")
    yield Paragraph(
        "When a person asks for it (dicomnode pull): the CT series of a study, of an accession"
        " number, or of earlier studies of a patient are looked for by C-FIND at the levels STUDY,"
        " SERIES and IMAGE, and what is not here is asked for: as a whole series, or as instances"
        f" by a list of UIDs. Configured: {query.retrieve}, at most {query.images_per_second:g}"
        " images a second (0: no limit). C-MOVE names this AE as the destination. C-CANCEL where a"
        " person breaks it off. No relational queries; no extended negotiation."
    )
    yield contexts_table(retrieve.MOVE_CONTEXTS, "SCU")
    get, *images = retrieve.get_contexts()
    yield contexts_table([get], "SCU")
    yield contexts_table(images, "SCP of C-STORE (by role selection), with C-GET")
    yield Table(
        ("Status", "Meaning", "Behaviour", "Advice"),
        tuple(
            (
                shown(row.first) + (f" to {shown(row.last)}" if row.last != row.first else ""),
                row.meaning,
                row.follow.value,
                row.advice.format(ae_title=settings.node.ae_title) or "–",
            )
            for row in RETRIEVE_STATUSES
        ),
    )


def _key_rows(key: Dataset) -> Iterator[tuple[str, str, str, str]]:
    for element in key:
        matching = "single value" if element.value else "universal (returned)"
        name = dictionary_description(element.tag)
        yield str(key.QueryRetrieveLevel), name, str(element.tag), matching


def web_client(settings: Settings, made: MadeObjects) -> Iterator[Block]:
    """4.2.2."""
    web = [each for each in settings.destinations if isinstance(each, WebDestination)]
    yield heading("4.2.2 DICOMweb user agent")
    yield Paragraph(
        "Store transaction (STOW-RS, PS3.18 section 10.5) to each destination that has a url:"
        f" {', '.join(each.name for each in web) or 'none as configured'}. POST to /studies with"
        " Content-Type multipart/related; type=application/dicom, one instance in each request, no"
        " bulk data or metadata parts. Accept: application/dicom+json or +xml. Where an answer"
        " leaves open whether an instance was stored, Search (QIDO-RS, PS3.18 section 10.6) for the"
        " instance. Redirections are not followed. Bearer or Basic authentication as configured."
        " Where series are pulled from a DICOMweb server: Search for studies, series and instances,"
        " and Retrieve (WADO-RS, PS3.18 section 10.4) of single instances, as application/dicom in"
        " any transfer syntax."
    )
    for number, each in enumerate(web, start=1):
        yield heading(f"4.2.2.{number} SOP classes and transfer syntaxes: {each.name}")
        yield contexts_table(_sent(made, each), "user agent")
    yield Table(("HTTP status", "Meaning", "Behaviour", "Advice"), _http_rows())


def _sent(made: MadeObjects, destination: AnyDestination) -> list[PresentationContext]:
    """A file goes as it is: Explicit VR, or JPEG where that is allowed."""
    contexts = proposed_contexts(made.classes_for(destination), compressed=destination.compressed)
    return [each for each in contexts if "Implicit" not in uid_name(str(each.transfer_syntax[0]))]


def _http_rows() -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            str(row.first) if row.first == row.last else f"{row.first} to {row.last}",
            row.meaning,
            _BEHAVIOUR[row.ending],
            row.advice or "–",
        )
        for row in HTTP_STATUSES
    )
