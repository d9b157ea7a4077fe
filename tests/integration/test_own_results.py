"""What a dicomnode made and a PACS sends on to one: taken, skipped, and never on its way again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pydicom
import pytest
from pydicom.uid import UID

from dicomnode.decisions.result_options import ResultOptions
from dicomnode.notes.writer import NoteWriter
from storage.decided import OWN_RESULT, failed_rules
from storage.records import SeriesState
from support.result_site import OBJECTS, Site


def of_another_node(site: Site, folder: Path) -> list[Path]:
    """The site's results and what withdraws them, as another node and release makes them."""
    site.deliver()
    site.run("retract", site.uid, "--yes")
    made = sorted(site.node.settings.result_files.rglob("*.dcm"))
    folder.mkdir()
    for number, path in enumerate(made):
        data_set = pydicom.dcmread(path)
        data_set.SoftwareVersions, data_set.DeviceSerialNumber = "9.9.9", "OTHERNODE"
        data_set.DeviceUID = "1.2.3"
        uid = UID(f"2.25.{number}")
        data_set.SOPInstanceUID = data_set.file_meta.MediaStorageSOPInstanceUID = uid
        data_set.SeriesInstanceUID = f"2.25.9{data_set.SeriesNumber}"
        data_set.save_as(folder / f"{number}.dcm")
    return sorted(folder.iterdir())


@pytest.mark.parametrize("note", ["study", "all"])
def test_own_results_are_skipped_as_that_and_go_nowhere(
    unsent: Site, tmp_path: Path, note: Literal["study", "all"]
) -> None:
    files = of_another_node(unsent, tmp_path / "back")
    assert len(files) == OBJECTS + 2
    before = unsent.json("list", group="queue")
    outbox = unsent.node.detail(unsent.uid).deliveries
    unsent.node.receive(files)
    series = {str(pydicom.dcmread(path).SeriesInstanceUID) for path in files}
    for _ in series:
        unsent.node.assess()
    for uid in series:
        record = unsent.node.detail(uid).series
        assert (record.state, len(record.reasons)) == (SeriesState.SKIPPED, 1)
        assert failed_rules(record.reasons) == [OWN_RESULT]
        assert unsent.node.detail(uid).results == ()

    options = ResultOptions(key_slices=1, note=note)
    settings = unsent.node.settings.model_copy(update={"results": options})
    later = datetime.now(UTC) + timedelta(hours=1)
    assert NoteWriter(settings, unsent.node.database).write_due(later) == 0
    assert unsent.node.detail(unsent.uid).deliveries == outbox

    assert unsent.json("list", group="queue") == before
    every = unsent.json("list", "--all", group="queue")
    assert {each["series_key"] for each in every} == series | {unsent.uid}
    assert unsent.run("list", "--all", group="queue").count("own result") == len(series)
    assert "own result" not in unsent.run("list", group="queue")
