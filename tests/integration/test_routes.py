"""Results by routes to two of DCMTK's storescp, each in its own classes; notes and withdrawals
follow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    BasicTextSRStorage,
    Comprehensive3DSRStorage,
    EnhancedSRStorage,
    KeyObjectSelectionDocumentStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from dicomnode.config.destinations import Destination
from dicomnode.config.settings import Settings
from dicomnode.decisions.delivery.routes import Route
from dicomnode.decisions.rejection import RejectionReason
from dicomnode.decisions.result_options import ResultOptions
from dicomnode.deliver.resend import resend
from dicomnode.deliver.retract import retract
from dicomnode.notes.writer import NoteWriter
from dicomnode.results.common.uids import LabelMapSegmentationStorage
from storage.records import ResultSet
from storage.result_sets import sets_of_series
from support.phantom import series_uid, write_series
from support.pipeline import Pipeline
from support.storescp import running_storescp

ROUTES = (Route(("modern",), ("CT1", "CT2")), Route(("sender",), ("CT2",)))
MODERN = {EnhancedSRStorage, SecondaryCaptureImageStorage, LabelMapSegmentationStorage}
PLAIN = {Comprehensive3DSRStorage, SecondaryCaptureImageStorage, SegmentationStorage}
OBJECTS = 4  # report, montage, key slice, segmentation


@dataclass
class Site:
    """A node, and what its two destinations wrote to their disks."""

    node: Pipeline
    folder: Path

    def deliver(self) -> int:
        """One series after the other, to each."""
        counts = (iter(partial(self.node.deliver, each), 0) for each in self.places)
        return sum(chain.from_iterable(counts))

    @property
    def places(self) -> list[Destination]:
        found = self.node.settings.destinations
        return [each for each in found if isinstance(each, Destination)]

    def at(self, name: str) -> list[Dataset]:
        """In the order in which they were written."""
        files = sorted((self.folder / name).iterdir(), key=lambda path: path.stat().st_mtime_ns)
        return [pydicom.dcmread(path) for path in files]

    def standing(self, uid: str) -> ResultSet:
        with self.node.database.read() as session:
            return sets_of_series(session, uid)[0]


@pytest.fixture
def site(tmp_path: Path, shared_models: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        modern, plain = (
            stack.enter_context(running_storescp(tmp_path / name, "-pm"))
            for name in ("modern", "plain")
        )
        choices = {"sr_class": "enhanced", "segmentation": "labelmap", "rejection_notes": True}
        settings = Settings(
            destinations=(
                Destination.model_validate(modern.model_dump() | {"name": "modern"} | choices),
                plain.model_copy(update={"name": "plain", "ae_title": "CT2"}),
            ),
            routes=ROUTES,
            results=ResultOptions(key_slices=1, note="all"),
        )
        node = Pipeline(tmp_path / "data", shared_models)
        named = {key: getattr(settings, key) for key in ("destinations", "routes", "results")}
        node.settings = node.settings.model_copy(update=named)
        stack.callback(node.database.close)
        yield Site(node, tmp_path)


def classes(found: list[Dataset]) -> set[str]:
    return {each.SOPClassUID for each in found}


def predecessor(document: Dataset) -> str:
    (study,) = document.PredecessorDocumentsSequence
    (named,) = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
    return str(named.ReferencedSOPInstanceUID)


def thick(data_set: Dataset, _number: int) -> None:
    data_set.SliceThickness = "8"


def test_results_go_where_routes_lead_in_the_classes_of_who_gets_them(
    site: Site, tmp_path: Path, shared_models: Path
) -> None:
    files = write_series(tmp_path / "series")
    uid = series_uid(files)
    site.node.bring_to_results(files, "CT2")
    assert site.deliver() == 2 * OBJECTS
    modern, plain = site.at("modern"), site.at("plain")
    assert (classes(modern), classes(plain)) == (MODERN, PLAIN)
    pictures = [
        {each.SOPInstanceUID for each in found if each.SOPClassUID == SecondaryCaptureImageStorage}
        for found in (modern, plain)
    ]
    assert pictures[0] == pictures[1]

    other = Pipeline(tmp_path / "other", shared_models)  # no destination and no route
    other.bring_to_results(files)
    other.database.close()
    own = {each.SOPInstanceUID for each in plain}
    assert own - set(other.result_bytes()) <= {  # a report says how long nothing more came
        each.SOPInstanceUID for each in plain if each.Modality == "SR"
    }

    chosen, now = site.standing(uid), datetime.now(UTC)
    assert resend(site.node.database, site.node.settings, chosen, now).count == 2 * OBJECTS
    assert site.deliver() == 2 * OBJECTS
    told = retract(
        site.node.database, site.node.settings, site.standing(uid), RejectionReason.SAFETY, now
    )
    assert told.notified == ("modern", "plain")
    assert site.deliver() == 2
    note, instead = site.at("modern")[-1], site.at("plain")[-1]
    assert note.SOPClassUID == KeyObjectSelectionDocumentStorage
    (study,) = note.CurrentRequestedProcedureEvidenceSequence
    assert {
        item.ReferencedSOPInstanceUID
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    } == {each.SOPInstanceUID for each in modern}
    (report,) = [each for each in plain if each.Modality == "SR"]
    assert instead.SOPClassUID == BasicTextSRStorage
    assert predecessor(instead) == report.SOPInstanceUID
    assert instead.SeriesInstanceUID != report.SeriesInstanceUID


def test_what_no_route_brings_somewhere_does_not_go_there(site: Site, tmp_path: Path) -> None:
    site.node.bring_to_results(write_series(tmp_path / "first"), "CT1")
    assert site.deliver() == OBJECTS
    assert (classes(site.at("modern")), site.at("plain")) == (MODERN, [])
    stays = write_series(tmp_path / "second", seed=1)
    site.node.bring_to_results(stays, "CT3")
    detail = site.node.detail(series_uid(stays))
    assert (len(detail.results), detail.deliveries) == (OBJECTS, ())


def test_notes_and_their_withdrawals_go_as_results_would(site: Site, tmp_path: Path) -> None:
    node, uids = site.node, dict[str, str]()
    for number, sender in enumerate(("CT1", "CT2", "CT3")):
        files = write_series(tmp_path / sender, 3, number, thick)
        uids[sender] = series_uid(files)
        node.receive(files, sender)
        node.assess()
    assert NoteWriter(node.settings, node.database).write_due(datetime.now(UTC)) == 3
    assert site.deliver() == 2 + 4  # text and page
    modern, plain = (
        {each.SOPInstanceUID for each in site.at(name)} for name in ("modern", "plain")
    )
    assert (len(modern), len(plain), plain < modern) == (4, 2, True)

    for sender, notified in (("CT1", ("modern",)), ("CT2", ("modern", "plain")), ("CT3", ())):
        note, now = site.standing(uids[sender]), datetime.now(UTC)
        told = retract(node.database, node.settings, note, RejectionReason.OUTDATED, now)
        assert told.notified == notified
    assert site.deliver() == 3
    assert predecessor(site.at("plain")[-1]) in plain
