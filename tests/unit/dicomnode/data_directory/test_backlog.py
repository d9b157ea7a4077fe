"""What is not sealed yet is written for any process to read, and not more often than is of use."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from dicomnode.data_directory.backlog import Backlog, read_backlog
from storage.overview_records import Unsealed
from support.storage_samples import NOW, seconds

LEFT = Unsealed(NOW, 3, at_least=True, damaged=1, oldest_due_at=NOW - seconds(60), fault="away")


def test_what_is_told_is_read(tmp_path: Path) -> None:
    assert read_backlog(tmp_path) is None
    Backlog(tmp_path).tell(LEFT)
    assert read_backlog(tmp_path) == LEFT


def test_the_same_is_written_again_after_a_minute_and_other_at_once(tmp_path: Path) -> None:
    backlog = Backlog(tmp_path)
    backlog.tell(LEFT)
    for after, series, written in ((59, 3, False), (60, 3, True), (61, 4, True)):
        later = replace(LEFT, at=NOW + timedelta(seconds=after), series=series)
        backlog.tell(later)
        assert (read_backlog(tmp_path) == later) is written


def test_where_it_cannot_be_written_the_sealer_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    backlog = Backlog(tmp_path / "gone")
    backlog.tell(LEFT)
    backlog.tell(LEFT)
    assert len(caplog.records) == 1
    (tmp_path / "gone").mkdir()
    backlog.tell(LEFT)
    assert read_backlog(tmp_path / "gone") == LEFT


def test_a_damaged_file_says_so_without_its_content(tmp_path: Path) -> None:
    (tmp_path / "sealing.json").write_text('{"secret"')
    with pytest.raises(ValueError, match="holds something else"):
        read_backlog(tmp_path)
