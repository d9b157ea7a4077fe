"""The line of a delivery, and what the audit trail keeps of it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from dicomnode.config.destinations import Destination, WebDestination
from dicomnode.decisions.delivery.outcome import Ending, Outcome
from dicomnode.deliver.tally import Tally
from storage.records import Delivery
from support.audit_file import classes_of, messages, outcome_of, recording, studies_of
from support.storage_samples import SR, result

SC = "1.2.840.10008.5.1.4.1.1.7"
PACS = Destination(name="pacs", ae_title="PACS", address="192.0.2.1", port=104)
STUDY = "1.2.826.0.1"


def _delivery(sop_class_uid: str) -> Delivery:
    return Delivery(1, "pacs", 1, "t", None, result("1", sop_class_uid=sop_class_uid))


def _told(tally: Tally) -> None:
    tally.note(_delivery(SR), Outcome(Ending.STORED, "0x0000"))
    tally.note(_delivery(SC), Outcome(Ending.STORED, "0x0000"))
    tally.note(_delivery(SC), Outcome(Ending.HOPELESS, "0x0122", "refused", comment="DOE^JANE"))
    tally.tell(0.84)


def test_a_delivery_is_one_line_with_counts_statuses_and_seconds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO):
        _told(Tally(PACS, STUDY))
        Tally(PACS, STUDY).tell(1.0)  # nothing was settled: the destination is away
    assert caplog.messages == [
        f"study {STUDY} to pacs: 2 objects stored (0x0000), 1 object refused (0x0122) in 0.8 s; "
        "without its promise"
    ]


def test_what_is_asked_for_its_promise_says_so_and_dicomweb_knows_none(
    caplog: pytest.LogCaptureFixture,
) -> None:
    web = WebDestination(name="web", url="http://127.0.0.1/dicom-web")
    with caplog.at_level(logging.INFO):
        _told(Tally(PACS.model_copy(update={"storage_commitment": True}), STUDY))
        _told(Tally(web, STUDY))
    assert caplog.messages[0].endswith("in 0.8 s; its promise to keep them is asked for")
    assert caplog.messages[1].endswith("in 0.8 s")


def test_what_went_well_and_what_did_not_are_two_messages(tmp_path: Path) -> None:
    with recording(tmp_path) as file:
        _told(Tally(PACS, STUDY))
    well, not_well = messages(file)
    assert studies_of(well) == studies_of(not_well) == [STUDY]
    assert (outcome_of(well), outcome_of(not_well)) == ("0", "4")
    assert classes_of(well) == {SR: 1, SC: 1}
    assert classes_of(not_well) == {SC: 1}
    assert "DOE^JANE" not in file.read_text()
