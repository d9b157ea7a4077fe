"""The line of an association, and what the audit trail keeps of it."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dicomnode.dicom_files.identity import Identity
from dicomnode.receive import visits
from dicomnode.receive.visits import Visits
from storage.records import AssociationEnd
from support.audit_file import classes_of, event_of, messages, outcome_of, recording, studies_of
from support.clock import StandingClock
from support.storage_samples import NOW

CT = "1.2.840.10008.5.1.4.1.1.2"
SR = "1.2.840.10008.5.1.4.1.1.88.34"


class _Association:
    def __init__(self, title: str) -> None:
        self.requestor = SimpleNamespace(ae_title=title, address="192.0.2.7")


def _association(title: str = "CT1") -> Any:
    return _Association(title)


def _identity(study: str, sop_class: str = CT) -> Identity:
    return Identity(sop_class, "1.9", study, "1.3", "", "CT", "d", "DOE-4711")


def _brought(kept: Visits) -> None:
    clock = cast("StandingClock", kept._clock)
    association = _association()
    kept.began(association)
    for study, sop_class in (("1.2.1", CT), ("1.2.1", CT), ("1.2.2", SR)):
        kept.came(association, _identity(study, sop_class), 500_000)
    kept.refused(association, CT, 0xA700)
    kept.refused(association, CT, 0xA700)
    clock.move(3.25)
    kept.ended(association, AssociationEnd.RELEASED)
    kept.ended(association, AssociationEnd.LOST)  # the connection closes after the release


def test_an_association_is_one_line_with_its_count_however_often_its_end_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO):
        _brought(Visits(StandingClock(NOW)))
    assert [each.getMessage() for each in caplog.records] == [
        "association of CT1 (192.0.2.7) released after 3.2 s: 3 instances, 1.5 MB, "
        "2 refused (0xA700)"
    ]
    fields: dict[str, object] = vars(caplog.records[0])["fields"]
    assert fields["instances"] == 3
    assert fields["refused"] == {"0xA700": 2}


def test_the_trail_has_a_message_for_each_study_and_one_for_what_was_refused(
    tmp_path: Path,
) -> None:
    with recording(tmp_path) as file:
        _brought(Visits(StandingClock(NOW)))
    first, second, refused = messages(file)
    assert {event_of(each) for each in (first, second, refused)} == {"DICOM Instances Transferred"}
    assert (studies_of(first), classes_of(first)) == (["1.2.1"], {CT: 2})
    assert (studies_of(second), classes_of(second)) == (["1.2.2"], {SR: 1})
    assert (outcome_of(second), outcome_of(refused)) == ("0", "4")
    assert classes_of(refused) == {CT: 2}
    assert "DOE-4711" not in file.read_text()


def test_a_site_may_want_the_patient_named(tmp_path: Path) -> None:
    with recording(tmp_path) as file:
        _brought(Visits(StandingClock(NOW), patient_ids=True))
    first, *_rest = messages(file)
    assert studies_of(first) == ["1.2.1", "DOE-4711"]


def test_an_association_of_many_studies_is_recorded_as_it_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visits, "MOST_STUDIES", 2)
    kept = Visits(StandingClock(NOW))
    association = _association()
    with recording(tmp_path) as file:
        kept.began(association)
        for number in range(5):
            kept.came(association, _identity(f"1.2.{number}"), 1)
        kept.ended(association, AssociationEnd.ABORTED)
    told = [study for each in messages(file) for study in studies_of(each)]
    assert told == [f"1.2.{number}" for number in range(5)]


def test_an_ae_title_that_breaks_lines_stays_on_its_line(caplog: pytest.LogCaptureFixture) -> None:
    kept = Visits(StandingClock(NOW))
    association = _association("A\r\nB\x1b[2J")
    with caplog.at_level(logging.INFO):
        kept.began(association)
        kept.ended(association, AssociationEnd.LOST)
    assert caplog.messages == [
        "association of A??B?[2J (192.0.2.7) lost after 0.0 s: 0 instances, 0.0 MB"
    ]
