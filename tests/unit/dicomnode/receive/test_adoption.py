"""What lies in a data directory, taken into a database that does not know it: all of it is held."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from dicomnode.config.destinations import Destination
from dicomnode.config.sections import NodeSettings
from dicomnode.config.settings import Settings
from dicomnode.data_directory.own_data import LostHistoryError, take_database
from dicomnode.receive.adoption import Adopted, adopt_files
from storage import adopt, queries
from storage.decided import RETRACTED, Withdrawal
from storage.records import NOTE_KIND, DeliveryState, SeriesDetail, SeriesState
from storage.result_history import KeptWithdrawal, Sent, SentFiles, Withdrawals
from support.house import House
from support.storage_samples import NOW, SERIES

NODE = "a" * 32
SR, TEXT, SC = (f"1.2.840.10008.5.1.4.1.1.{each}" for each in ("88.34", "88.11", "7"))
PACS = Destination(name="PACS", ae_title="PACS", address="127.0.0.1", port=104)


class Site(House):
    """A data directory whose database is lost; results are small, and true Part 10 files."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.settings = Settings(node=NodeSettings(data_directory=folder), destinations=(PACS,))

    def result(self, uid: str, sop_class: str = SR, *, series: str = SERIES, at: int = 8) -> str:
        data_set = Dataset()
        data_set.SOPClassUID, data_set.SOPInstanceUID = sop_class, uid
        data_set.StudyInstanceUID, data_set.SeriesInstanceUID = "1.2.826.1.1", f"{uid}.1"
        data_set.PatientID, data_set.Modality = "", "SR" if sop_class != SC else "OT"
        data_set.InstanceCreationDate, data_set.InstanceCreationTime = "20250301", f"{at:02}0000"
        data_set.TimezoneOffsetFromUTC = "+0200"
        if sop_class == TEXT:
            title = Dataset()
            title.CodeValue, title.CodingSchemeDesignator = "AI_NOTE", "99COVNET"
            title.CodeMeaning = "AI processing note"
            data_set.ConceptNameCodeSequence = [title]
        source = Dataset()
        source.SeriesInstanceUID = series.partition("~")[0]
        data_set.CurrentRequestedProcedureEvidenceSequence = [source]
        data_set.file_meta = FileMetaDataset()
        data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        buffer = BytesIO()
        pydicom.dcmwrite(buffer, data_set, enforce_file_format=True)
        return self.results.store(series, uid, buffer.getvalue())

    def adopt(self) -> Adopted:
        return adopt_files(self.database, self.settings, NODE, NOW)

    def release(self) -> tuple[int, int]:
        with self.database.write() as session:
            return adopt.release(session, NOW)

    def detail(self, key: str = SERIES) -> SeriesDetail:
        with self.database.read() as session:
            found = queries.series_detail(session, key)
        assert found is not None
        return found

    def states(self, key: str = SERIES) -> dict[str, str]:
        deliveries = self.detail(key).deliveries
        return {each.result.sop_instance_uid: each.state.value for each in deliveries}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path / "data")
    yield made
    made.database.close()


def test_instances_and_results_are_entered_and_held(site: Site) -> None:
    site.store_files(SERIES, 3)
    site.result("2.25.1")
    site.result("2.25.2", SC)
    assert site.adopt() == Adopted(3, 2, 0, 0, 2, ())
    detail = site.detail()
    assert (detail.series.state, detail.series.instance_count) == (SeriesState.ANALYSED, 3)
    assert {each.kind for each in detail.results} == {"sr", "ot"}
    assert {each.created_at for each in detail.results} == {datetime(2025, 3, 1, 6, tzinfo=UTC)}
    assert {each.state for each in detail.jobs} == {"done"}
    assert {each.error for each in detail.deliveries} == {adopt.HELD_DELIVERY}
    take_database(site.settings, NODE)
    assert site.release() == (0, 2)
    assert site.states() == {"2.25.1": "waiting", "2.25.2": "waiting"}
    assert site.release() == (0, 0)


def test_a_series_without_results_is_held_and_decided_on_once_released(site: Site) -> None:
    site.store_files(SERIES, 3)
    assert site.adopt().series_held == 1
    assert site.detail().series.state is SeriesState.FAILED
    assert site.release() == (1, 0)
    detail = site.detail()
    assert detail.series.state is SeriesState.RECEIVING
    assert sorted(each.state for each in detail.jobs) == ["done", "queued"]


def test_a_note_is_no_analysis(site: Site) -> None:
    """The series is decided on anew, and the note is known to be one, its page too."""
    site.store_files(SERIES, 3)
    site.result("2.25.1", TEXT)
    site.result("2.25.2", SC)
    assert site.adopt().series_held == 1
    assert {each.kind for each in site.detail().results} == {NOTE_KIND}
    assert site.release() == (1, 2)


def test_only_the_newest_set_is_sent_and_what_a_destination_has_is_not(site: Site) -> None:
    site.store_files(SERIES, 3)
    site.result("2.25.1", at=7)
    site.result("2.25.2")
    site.result("2.25.3", SC)
    sent = Sent("2.25.2", "PACS", DeliveryState.STORED, NOW)
    gone = Sent("2.25.1", "FORMER", DeliveryState.REFUSED, NOW, "0xA900")
    for each in (sent, gone):
        SentFiles(site.settings.result_files).note(SERIES, each)
    site.adopt()
    site.release()
    assert site.states() == {"2.25.1": "refused", "2.25.2": "stored", "2.25.3": "waiting"}


def test_what_is_withdrawn_stays_so(site: Site) -> None:
    site.result("2.25.1")  # its instances are gone: by the report alone it is known
    withdrawal = Withdrawal(NOW, ("2.25.1",), 3, (), "safety", "Rejected")
    Withdrawals(site.settings.result_files).put(KeptWithdrawal(SERIES, withdrawal))
    assert site.adopt().withdrawn == 1
    assert site.release() == (0, 0)
    (delivery,) = site.detail().deliveries
    assert (delivery.state, delivery.error) == (DeliveryState.ABANDONED, RETRACTED)


def test_a_damaged_file_stops_nothing_and_is_told(site: Site) -> None:
    site.store_files(SERIES, 3)
    site.result("2.25.1")
    path = site.results.store("1.2.3", "2.25.9", b"no DICOM at all")
    SentFiles(site.settings.result_files).note(SERIES, Sent("1.2", "P", DeliveryState.STORED, NOW))
    (noted,) = (site.settings.result_files / "sent").rglob("*.json")
    noted.write_bytes(b"{")
    withdrawal = Withdrawal(NOW, ("2.25.1",), 3, (), "safety", "Rejected")
    Withdrawals(site.settings.result_files).put(KeptWithdrawal(SERIES, withdrawal))
    (record,) = (site.settings.result_files / "withdrawn").rglob("*.json")
    record.write_bytes(b"[]")
    adopted = site.adopt()
    assert (adopted.results, adopted.withdrawn) == (1, 0)
    assert adopted.left_alone == (path.rpartition("/")[0],)
    with pytest.raises(LostHistoryError, match="results of 1 series"):
        take_database(site.settings, NODE)


def test_results_of_one_of_two_patients_are_not_given_to_the_other(site: Site) -> None:
    """Both came under one Series Instance UID; which was the first nobody knows any more."""
    site.store_files(SERIES, 2)
    site.adopt()
    with site.database.write() as session:
        adopt._enter_series(session, adopt.ResultsFound(f"{SERIES}~2", "1.2.826.1.1", "", ()), NOW)
    site.result("2.25.1", series=f"{SERIES}~2")
    assert len(site.adopt().left_alone) == 1


def test_a_kill_in_the_middle_leaves_nothing_that_a_node_starts_on(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.store_files(SERIES, 3)
    site.result("2.25.1")

    def killed(*_arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(adopt, "hold", killed)
        with pytest.raises(KeyboardInterrupt):
            site.adopt()
    with pytest.raises(LostHistoryError):
        take_database(site.settings, NODE)
    assert site.adopt().deliveries_held == 1
    take_database(site.settings, NODE)


def test_a_back_up_from_before_is_brought_up_to_date_and_held(site: Site) -> None:
    """It knows the series, which waits to be analysed: on the disk are its results already."""
    site.add(SERIES, SeriesState.RECEIVING, age=NOW - NOW)
    site.result("2.25.1")
    assert site.adopt() == Adopted(0, 1, 0, 0, 1, ())
    assert site.detail().series.state is SeriesState.ANALYSED
