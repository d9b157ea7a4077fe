"""Notes: a file that cannot be read just now loses none, and one at fault holds up no other."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dicomnode.assess.assessor import Assessor
from dicomnode.config.sections import NodeSettings
from dicomnode.config.settings import Settings
from dicomnode.decisions.result_options import ResultOptions
from dicomnode.dicom_files.headers import read_source
from dicomnode.notes.writer import NoteWriter
from storage import notes
from storage.database import Database
from storage.instances import InstanceFiles
from support.phantom import series_uid, write_series
from support.pipeline import NO_WAIT, receive_files


class Skipped:
    """Two series that were skipped, each of its own study, and who writes notes on them."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(
            node=NodeSettings(data_directory=folder / "data"),
            completeness=NO_WAIT,
            results=ResultOptions(note="all"),
        )
        self.database = Database.open(self.settings.database_url)
        files = InstanceFiles(self.settings.instances)
        self.uids = []
        for seed in (1, 2):
            paths = write_series(folder / str(seed), slices=2, seed=seed)
            receive_files(self.database, files, paths)
            self.uids.append(series_uid(paths))
        assessor = Assessor(self.settings, "node/assessor/1/")
        while assessor.assess_one(datetime.now(UTC)):
            pass
        self.writer = NoteWriter(self.settings, self.database)

    def write(self, after: float = 0.0) -> int:
        return self.writer.write_due(datetime.now(UTC) + timedelta(seconds=after))

    def noted(self) -> list[bool]:
        with self.database.read() as session:
            return [bool(notes.notes_of(session, [uid])) for uid in self.uids]


@pytest.fixture
def skipped(tmp_path: Path) -> Iterator[Skipped]:
    made = Skipped(tmp_path)
    yield made
    made.database.close()


def failing_for(count: int, error: Exception) -> Callable[..., Any]:
    real, left = read_source, [count]

    def read(path: Path) -> Any:
        left[0] -= 1
        if left[0] >= 0:
            raise error
        return real(path)

    return read


def test_a_note_is_written_once_its_files_can_be_read(
    skipped: Skipped, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    monkeypatch.setattr("dicomnode.notes.series_note.read_source", failing_for(2, error))
    assert skipped.write() == 1, "the first series has two files, and neither can be read"
    assert sorted(skipped.noted()) == [False, True]
    assert skipped.write(after=3600) == 1, "however long it took"
    assert skipped.noted() == [True, True]


def test_a_note_at_fault_holds_up_no_other(
    skipped: Skipped, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(
        "dicomnode.notes.series_note.read_source", failing_for(1, RuntimeError("unforeseen"))
    )
    assert skipped.write() == 1
    assert skipped.write() == 0
    assert sorted(skipped.noted()) == [False, True]
    assert len([each for each in caplog.records if each.levelname == "ERROR"]) == 1


def test_files_that_can_never_be_read_are_given_up(
    skipped: Skipped, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = OSError(errno.EIO, os.strerror(errno.EIO))
    monkeypatch.setattr("dicomnode.notes.series_note.read_source", failing_for(10**6, error))
    for _ in range(3):
        assert skipped.write(after=1000) == 0
    monkeypatch.setattr("dicomnode.dicom_files.read_again.decide_retry", lambda *_arguments: None)
    assert skipped.write() == 0
    monkeypatch.undo()
    assert skipped.write() == 0, "they are passed over"
