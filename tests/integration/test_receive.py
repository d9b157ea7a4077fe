"""The Storage SCP alone: bytes kept as sent, resends, conflicts, database or disk away."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import UID, MRImageStorage
from pynetdicom import build_context
from sqlalchemy import select

from dicomnode.network.associations import associated, c_store, requestor
from dicomnode.receive.arrivals import reconcile
from storage import index, queries
from storage.database import Database
from storage.models import AssociationRow
from storage.records import AssociationEnd
from support.data import CT
from support.phantom import series_uid, write_series
from support.receiver import Receiver
from support.wait import wait_for

SYNTAXES = sorted((CT.parent / "transfer_syntaxes").glob("*.dcm"))
NODE_ID = "node"


def data_set_bytes(file: Path) -> bytes:
    content = file.read_bytes()
    return content[144 + int.from_bytes(content[140:144], "little") :]


@pytest.mark.parametrize("file", SYNTAXES, ids=lambda path: path.stem)
def test_every_transfer_syntax_is_kept_as_it_was_sent(receiver: Receiver, file: Path) -> None:
    assert receiver.send(file) == [0x0000]
    (stored,) = (receiver.files.open_path(path) for path in receiver.files.iter_paths())
    assert data_set_bytes(stored) == data_set_bytes(file)
    sent, kept = pydicom.dcmread(file), pydicom.dcmread(stored)
    assert kept.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID
    assert kept.file_meta.SourceApplicationEntityTitle == "TESTER"


def test_a_resend_changes_nothing(receiver: Receiver, tmp_path: Path) -> None:
    files = write_series(tmp_path / "series", slices=3)
    assert receiver.send(*files) == receiver.send(*files) == [0x0000] * 3
    assert len(list(receiver.files.iter_paths())) == 3
    wait_for(lambda: receiver.indexed(series_uid(files)) == 3, "three are indexed")


def test_other_content_under_the_same_uid_is_kept_apart_and_reported(
    receiver: Receiver, tmp_path: Path
) -> None:
    (file,) = write_series(tmp_path / "series", slices=1)
    assert receiver.send(file) == [0x0000]
    wait_for(lambda: receiver.indexed(series_uid([file])) == 1, "the first is indexed")
    changed = pydicom.dcmread(file)
    changed.SliceThickness = 1.25
    changed.save_as(file)
    assert receiver.send(file) == [0x0000]
    assert len(list(receiver.files.iter_paths())) == 2

    def conflicts() -> int:
        with receiver.database.read() as session:
            detail = queries.series_detail(session, series_uid([file]))
        return 0 if detail is None else len(detail.conflicts)

    wait_for(lambda: conflicts() == 1, "the conflict is in the index")


def test_receiving_goes_on_while_the_database_is_away(receiver: Receiver, tmp_path: Path) -> None:
    files = write_series(tmp_path / "series", slices=5)
    blocker = sqlite3.connect(receiver.folder / "node.sqlite3")
    blocker.execute("BEGIN EXCLUSIVE")
    assert receiver.send(*files) == [0x0000] * 5
    assert len(list(receiver.files.iter_paths())) == 5
    assert receiver.indexed(series_uid(files)) == 0
    blocker.rollback()
    blocker.close()
    wait_for(lambda: receiver.indexed(series_uid(files)) == 5, "the index has caught up")


def test_a_disk_that_does_not_take_it_is_answered_out_of_resources(
    receiver: Receiver, tmp_path: Path
) -> None:
    files = write_series(tmp_path / "series", slices=2)
    incoming = receiver.folder / "instances" / "incoming"
    incoming.rename(tmp_path / "aside")
    incoming.write_text("a file where the folder should be: every write fails")
    assert receiver.send(files[0]) == [0xA700]
    incoming.unlink()
    (tmp_path / "aside").rename(incoming)
    assert receiver.send(*files) == [0x0000] * 2


def test_what_was_stored_but_not_indexed_is_found_again(receiver: Receiver, tmp_path: Path) -> None:
    files = write_series(tmp_path / "series", slices=4)
    receiver.send(*files)
    wait_for(lambda: receiver.indexed(series_uid(files)) == 4, "four are indexed")
    fresh = Database.open(f"sqlite:///{tmp_path / 'fresh.sqlite3'}")
    assert reconcile(fresh, receiver.files, NODE_ID) == 4
    with fresh.read() as session:
        recovered = index.instances_of_series(session, series_uid(files))
        arrival = index.series_arrival(session, series_uid(files))
    with receiver.database.read() as session:
        original = index.instances_of_series(session, series_uid(files))
    fresh.close()
    assert [each.sha256 for each in recovered] == [each.sha256 for each in original]
    assert [each.priority for each in recovered] == [each.priority for each in original]
    assert {each.calling_ae_title for each in recovered} == {"TESTER"}
    assert arrival is not None
    assert arrival.last_association_end is AssociationEnd.LOST


def test_a_file_that_no_longer_reads_does_not_stop_the_others(
    receiver: Receiver, tmp_path: Path
) -> None:
    files = write_series(tmp_path / "series", slices=3)
    receiver.send(*files)
    stored = sorted(receiver.files.iter_paths())
    receiver.files.open_path(stored[0]).write_bytes(b"no DICOM any more")
    fresh = Database.open(f"sqlite:///{tmp_path / 'fresh.sqlite3'}")
    reconcile(fresh, receiver.files, NODE_ID)
    with fresh.read() as session:
        assert len(index.instances_of_series(session, series_uid(files))) == 2
    fresh.close()


@pytest.mark.parametrize("end", [AssociationEnd.RELEASED, AssociationEnd.ABORTED])
def test_how_an_association_ended_is_kept(
    receiver: Receiver, tmp_path: Path, end: AssociationEnd
) -> None:
    files = write_series(tmp_path / "series", slices=2)
    first = pydicom.dcmread(files[0])
    context = build_context(first.SOPClassUID, first.file_meta.TransferSyntaxUID)
    for _ in range(5):
        with associated(requestor("TESTER", [context], 20), receiver.peer) as association:
            c_store(association, files[0])
            if end is AssociationEnd.ABORTED:
                association.abort()
    c_stored = series_uid(files)

    def ends() -> list[AssociationEnd | None]:
        with receiver.database.read() as session:
            ended = select(AssociationRow.ending).where(AssociationRow.ended_at.is_not(None))
            return list(session.scalars(ended))

    wait_for(lambda: len(ends()) == 5, "all have ended")
    assert receiver.indexed(c_stored) == 1
    assert set(ends()) == {end}


def test_a_class_in_the_command_that_is_not_that_of_the_data_set_is_refused(
    receiver: Receiver, tmp_path: Path
) -> None:
    (file,) = write_series(tmp_path / "series", slices=1)
    data_set = pydicom.dcmread(file)
    data_set.file_meta.MediaStorageSOPClassUID = MRImageStorage
    data_set.save_as(file)
    context = build_context(MRImageStorage, data_set.file_meta.TransferSyntaxUID)
    with associated(requestor("TESTER", [context], 20), receiver.peer) as association:
        assert c_store(association, file) == 0xA900
    assert list(receiver.files.iter_paths()) == []


def test_private_and_retired_storage_classes_are_taken(receiver: Receiver, tmp_path: Path) -> None:
    """A PACS that forwards a whole study sends them too (Siemens CSA, GE, retired classes)."""
    for sop_class in ("1.3.12.2.1107.5.9.1", "1.2.840.113619.4.30", "1.2.840.10008.5.1.4.1.1.6"):
        (file,) = write_series(tmp_path / sop_class, slices=1)
        data_set = pydicom.dcmread(file)
        data_set.SOPClassUID = data_set.file_meta.MediaStorageSOPClassUID = UID(sop_class)
        data_set.save_as(file)
        assert receiver.send(file) == [0x0000]
