"""The whole statement, chapter by chapter (PS3.2 annex A)."""

from __future__ import annotations

from collections.abc import Iterator

from dicomnode.config.settings import Settings
from dicomnode.conformance.accepting import acceptance
from dicomnode.conformance.contexts import heading
from dicomnode.conformance.initiating import initiation, web_client
from dicomnode.conformance.made import MadeObjects
from dicomnode.conformance.objects import annexes
from dicomnode.conformance.surrounds import media_to_security, network_and_configuration
from dicomnode.decisions.arrival.negotiation import MOST_OUTSTANDING
from dicomnode.dicom_files.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicomnode.network.associations import requestor
from dicomnode.results.common.uids import uid_name
from dicomnode.version import MANUFACTURER, PRODUCT_NAME, VERSION
from inference.evaluation.report.document import Block, Contents, Document, Paragraph, Table


def conformance_statement(settings: Settings) -> Document:
    """Of this version with this configuration: the same text for the same.

    Raises:
        BundleError: the card of a configured bundle cannot be read.
    """
    made = MadeObjects(settings)
    blocks = (
        *_overview(settings, made),
        *_introduction(),
        *_networking(settings, made),
        *media_to_security(settings),
        *annexes(settings, made),
    )
    return Document(f"{PRODUCT_NAME} {VERSION}: DICOM Conformance Statement", blocks)


def _overview(settings: Settings, made: MadeObjects) -> Iterator[Block]:
    yield Paragraph(f"{MANUFACTURER}, {PRODUCT_NAME} {VERSION}, AE title {settings.node.ae_title}.")
    yield heading("1 Conformance statement overview")
    yield Paragraph(
        f"{PRODUCT_NAME} takes CT series by C-STORE, analyses those that are eligible, and sends"
        " what it found back as Structured Reports, Secondary Captures and Segmentations, by"
        " C-STORE or STOW-RS. It stores nothing on media."
    )
    sent = sorted({str(each.sop_class_uid) for each in made.all})
    rows = [
        ("Verification", "1.2.840.10008.1.1", "Yes", "Yes"),
        *((uid_name(uid), uid, "Yes", "Yes") for uid in sent),
        ("All other storage SOP classes (4.2.1.4.1.1)", "–", "No", "Yes"),
        ("Storage Commitment Push Model SOP Class", "1.2.840.10008.1.20.1", "Yes", "Yes"),
        ("Study Root Query/Retrieve – FIND", "1.2.840.10008.5.1.4.1.2.2.1", "Yes", "No"),
        ("Study Root Query/Retrieve – MOVE", "1.2.840.10008.5.1.4.1.2.2.2", "Yes", "No"),
        ("Study Root Query/Retrieve – GET", "1.2.840.10008.5.1.4.1.2.2.3", "Yes", "No"),
    ]
    yield Table(("SOP class", "UID", "User (SCU)", "Provider (SCP)"), tuple(rows))
    yield Table(
        ("DICOMweb service", "User agent", "Origin server"),
        (
            ("Store (STOW-RS)", "Yes", "No"),
            ("Search (QIDO-RS)", "Yes", "No"),
            ("Retrieve (WADO-RS), single instances", "Yes", "No"),
        ),
    )
    yield heading("2 Table of contents")
    yield Contents(4)


def _introduction() -> Iterator[Block]:
    yield heading("3 Introduction")
    yield heading("3.1 Revision")
    yield Paragraph(
        f"Written by {PRODUCT_NAME} {VERSION} from its own tables and the configuration at hand."
    )
    yield heading("3.2 Audience")
    yield Paragraph(
        "Who connects this node with scanners and archives, and knows the DICOM standard."
    )
    yield heading("3.3 Remarks")
    yield Paragraph(
        "Comparing two statements is the first step only: whether two systems work together is"
        " shown by trying it (dicomnode commission). The results are for research."
    )
    yield heading("3.4 Terms and references")
    yield Paragraph(
        "AE: Application Entity. SCU, SCP: user and provider of a service. IOD: Information Object"
        " Definition. TID, CID: templates and context groups of PS3.16. References: DICOM PS3.1 to"
        " PS3.22; RFC 9325 (TLS); IHE Radiology Technical Framework (IOCM)."
    )


def _networking(settings: Settings, made: MadeObjects) -> Iterator[Block]:
    yield heading("4 Networking")
    yield heading("4.1 Implementation model")
    yield heading("4.1.1 Application data flow")
    yield Paragraph(
        "A modality or archive sends a CT series to the node's AE. The node counts it, asks an"
        " archive for its count where one is configured, decides, analyses, and its AE sends the"
        " results to the destinations; another AE is not used. A DICOMweb user agent sends to"
        " destinations with a url."
    )
    yield heading("4.1.2 Functional definition of AEs")
    yield Paragraph(
        f"{settings.node.ae_title}: C-ECHO and Storage SCP, Storage SCU, Storage Commitment SCU and"
        " SCP, Study Root FIND, MOVE and GET SCU. DICOMweb user agent: Store, Search, Retrieve."
    )
    yield heading("4.1.3 Sequencing of real-world activities")
    yield Paragraph(
        "Receive, count, decide, analyse, send, ask for commitment; each is durable before the next"
        " begins. Withdrawals are sent after what they withdraw."
    )
    yield heading("4.2 AE specifications")
    yield heading(f"4.2.1 Application Entity {settings.node.ae_title}")
    yield heading("4.2.1.1 SOP classes")
    yield Paragraph(
        "Standard conformance to the SOP classes of the overview; what is proposed and accepted for"
        " each stands with its activity below."
    )
    yield from _policies(settings)
    yield from initiation(settings, made)
    yield from acceptance(settings)
    yield from web_client(settings, made)
    yield from network_and_configuration(settings)


def _policies(settings: Settings) -> Iterator[Block]:
    receive, sender = settings.receive, requestor(settings.node.ae_title, [], 1.0)
    yield heading("4.2.1.2 Association policies")
    yield heading("4.2.1.2.1 General")
    context = "1.2.840.10008.3.1.1.1"
    yield Table(
        ("Property", "Value"),
        (
            ("Application context name", context),
            ("Maximum length received as acceptor", f"{receive.maximum_pdu_length} bytes"),
            ("Maximum length received as requestor", f"{sender.maximum_pdu_size} bytes"),
            ("An association without a word is aborted", f"{receive.network_timeout_seconds:g} s"),
            ("Longest wait for association messages", f"{receive.acse_timeout_seconds:g} s"),
            ("Longest wait as requestor", f"{settings.delivery.timeout_seconds:g} s"),
        ),
    )
    yield heading("4.2.1.2.2 Number of associations")
    yield Table(
        ("As", "At a time"),
        (
            ("acceptor, served", str(receive.maximum_associations)),
            (
                "acceptor, waiting for a place",
                f"{receive.waiting_associations} in each of {receive.processes} processes, "
                f"{receive.waiting_seconds:g} s",
            ),
            *(
                (f"requestor, storage to {each.name}", str(each.associations))
                for each in settings.destinations
            ),
            ("requestor, each other activity", "1 to each peer"),
        ),
    )
    yield heading("4.2.1.2.3 Asynchronous nature")
    yield Paragraph(
        f"As acceptor: a peer that proposes an asynchronous operations window may have up to"
        f" {MOST_OUTSTANDING} operations open at once on an association; they are performed one"
        " after the other and answered in the order in which they came. Without a window, and as"
        " requestor, one transaction at a time."
    )
    yield heading("4.2.1.2.4 Implementation identifying information")
    yield Table(
        ("Property", "Value"),
        (
            ("Implementation Class UID", str(IMPLEMENTATION_CLASS_UID)),
            ("Implementation Version Name", IMPLEMENTATION_VERSION_NAME),
        ),
    )
