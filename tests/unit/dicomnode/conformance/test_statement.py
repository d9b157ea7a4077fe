"""The conformance statement: whole, of the configuration at hand, and telling no secret."""

from __future__ import annotations

import re

import pytest

from dicomnode.config.credentials import Credentials
from dicomnode.config.destinations import Destination, WebDestination
from dicomnode.config.sections import NodeSettings, ReceiveSettings
from dicomnode.config.settings import Settings
from dicomnode.conformance.statement import conformance_statement
from dicomnode.decisions.delivery.store_status import STORE_STATUSES
from dicomnode.decisions.result_options import SegmentationKind, SrClass
from dicomnode.tls import DestinationTls, TlsPolicy
from inference.evaluation.report.document import Document, Heading
from inference.evaluation.report.pages import to_html, to_markdown
from support.documents import tables_below

CHAPTERS = (
    "1 Conformance statement overview",
    "2 Table of contents",
    "3 Introduction",
    "4 Networking",
    "5 Media interchange",
    "6 Support of character sets",
    "7 Security",
    "8 Annexes",
)
OLD_PACS = Destination(
    name="old <b>PACS</b>",
    ae_title="OLD",
    address="192.0.2.1",
    port=104,
    sr_class=SrClass.ENHANCED,
    segmentation=SegmentationKind.OFF,
    rejection_notes=True,
)
WEB = WebDestination(
    name="archive",
    url="https://archive.example/dicom-web",
    tls=DestinationTls(peer_ca="/secret/ca.pem"),
    credentials=Credentials(file="/secret/archive.token"),
)
SITE = Settings(
    node=NodeSettings(ae_title="CHESTAI", database_url="postgresql://node:geheim@db.example/node"),
    receive=ReceiveSettings(
        plain=False,
        tls=TlsPolicy(
            certificate="/secret/c.pem", private_key="/secret/k.pem", peer_ca="/secret/a"
        ),
    ),
    destinations=(OLD_PACS, WEB),
)


@pytest.fixture(scope="module")
def defaults() -> Document:
    return conformance_statement(Settings())


@pytest.fixture(scope="module")
def site() -> Document:
    return conformance_statement(SITE)


def test_it_has_the_chapters_of_the_standard_in_their_order(defaults: Document) -> None:
    assert tuple(each.text for each in defaults.headings(2)) == CHAPTERS


def test_no_two_sections_bear_the_same_number(site: Document) -> None:
    numbers = [each.text.partition(" ")[0] for each in site.blocks if isinstance(each, Heading)]
    assert len(numbers) == len(set(numbers))


def test_each_destination_has_the_classes_that_it_is_configured_for(site: Document) -> None:
    proposed = {row[1] for row in tables_below(site, "4.2.1.3.1.1 ")[0].rows}
    assert proposed == {
        "1.2.840.10008.5.1.4.1.1.7",  # pictures, and the page of a note
        "1.2.840.10008.5.1.4.1.1.88.11",  # notes
        "1.2.840.10008.5.1.4.1.1.88.22",  # the report, Enhanced
        "1.2.840.10008.5.1.4.1.1.88.59",  # rejection notes
    }
    web = {row[1] for row in tables_below(site, "4.2.2.1 ")[0].rows}
    assert {"1.2.840.10008.5.1.4.1.1.88.34", "1.2.840.10008.5.1.4.1.1.66.4"} <= web


def test_every_status_that_the_node_knows_is_there(defaults: Document) -> None:
    told = {row[1] for row in tables_below(defaults, "4.2.1.3.1.2 ")[0].rows}
    assert told == {each.meaning for each in STORE_STATUSES}


def test_codes_and_templates_are_read_from_the_objects(defaults: Document) -> None:
    templates, codes = tables_below(defaults, "8.3 ")
    assert ("TID 1500", "DCMR", "Report of an analysis") in templates.rows
    assert ("840539006", "SCT", "COVID-19") in codes.rows


def test_parameters_show_what_is_configured_beside_the_default(site: Document) -> None:
    rows = tables_below(site, "4.4.2 ")[0].rows
    assert ("receive.plain", "true", "false") in rows


@pytest.mark.parametrize("write", [to_html, to_markdown])
def test_it_tells_no_secret_and_no_path(site: Document, write: object) -> None:
    assert callable(write)
    text = write(site)
    assert "geheim" not in text
    assert "/secret" not in text
    assert "CHESTAI" in text


def test_the_page_is_one_file_in_which_nothing_is_markup(site: Document) -> None:
    page = to_html(site)
    assert "<b>PACS" not in page
    assert not re.search(r"<script|<link|<img|src=|url\(", page)
    assert {
        each for each in re.findall(r'href="([^"]*)"', page) if not each.startswith("#")
    } == set()


def test_each_link_of_the_contents_leads_to_one_heading(site: Document) -> None:
    page = to_html(site)
    linked, there = re.findall(r'href="#([^"]*)"', page), re.findall(r' id="([^"]*)"', page)
    assert linked
    assert set(linked) <= set(there)
    assert len(set(there)) == len(there)


def test_the_same_configuration_gives_the_same_text(defaults: Document) -> None:
    assert conformance_statement(Settings()) == defaults
