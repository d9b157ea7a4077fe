# mypy: ignore-errors
"""Makes `schema-0002.tar.xz` with the code of commit af24aed, which it imports.

git worktree add /tmp/former af24aed && cd /tmp/former
PYTHONPATH=.:tests python WHERE/make_0002.py WHERE/schema-0002.tar.xz
"""

from __future__ import annotations

import os
import sys
import tarfile
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from dicomnode.data_directory.own_database import Taking, note_first_start
from dicomnode.not_analysed import NoteWriter
from dicomnode.retract import retract
from dicomnode.supervise import only_one
from pydicom.dataset import Dataset

from dicomnode.decisions.rejection import RejectionReason
from storage import jobs, outbox, result_life, retention
from storage.records import ConflictState, DeliveryState, JobKind, JobState, SeriesState
from support.evaluated_phantoms import covnet_bundle
from support.pacs import running_pacs
from support.phantom import write_series
from support.pipeline import Pipeline

ROOT = "1.2.826.0.1.3680043.10.79"
SERIES = (
    *("withdrawn", "removed", "sending", "analysed", "failed", "parked", "skipped"),
    *("running", "queued", "held", "receiving"),
)
"""The last part of each Series Instance UID is its number here, from 1."""
OVER = timedelta(seconds=-1)
"""A lease that has run out: whoever held it is gone."""


def uid_of(name: str) -> str:
    return f"{ROOT}.{SERIES.index(name) + 1}"


def drawn(folder: Path, name: str, slices: int = 12, **more: object) -> list[Path]:
    """A phantom of every second pixel, without its noise: small when it is packed."""

    def change(data_set: Dataset, number: int) -> None:
        pixels = data_set.pixel_array[::2, ::2] // 64 * 64
        data_set.Rows, data_set.Columns = pixels.shape
        data_set.PixelSpacing = [float(side) * 2 for side in data_set.PixelSpacing]
        data_set.PixelData = np.ascontiguousarray(pixels + int(more.get("brighter", 0))).tobytes()
        data_set.SeriesInstanceUID, data_set.StudyInstanceUID = uid_of(name), f"{uid_of(name)}.0"
        data_set.FrameOfReferenceUID = f"{uid_of(name)}.9"
        data_set.PatientName, data_set.PatientID = f"Drawn^{name.title()}", f"DRAWN-{name.upper()}"
        uid = f"{uid_of(name)}.{number + 1}"
        data_set.SOPInstanceUID = data_set.file_meta.MediaStorageSOPInstanceUID = uid

    return write_series(folder / f"{name}{len(more)}", slices, change=change)


class Site:
    """The node of that time with two destinations; each step leaves one series in its state."""

    def __init__(self, node: Pipeline, folder: Path) -> None:
        self.node, self.folder = node, folder
        self.first, self.second = node.settings.destinations

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)

    def receive(self, name: str, slices: int = 12, **more: object) -> None:
        self.node.receive(drawn(self.folder, name, slices, **more))

    def queue(self, name: str) -> None:
        self.receive(name)
        self.node.assess()

    def analyse(self, name: str, *, sent_to: tuple[object, ...] = ()) -> None:
        self.queue(name)
        self.node.analyse()
        for destination in sent_to:
            assert self.node.deliver(destination)

    def claim(self) -> jobs.Job | None:
        """By a worker that is gone."""
        with self.node.database.write() as session:
            return jobs.claim(session, [JobKind.ANALYSE], "node/worker/0/", self.now, OVER)

    def withdraw(self, name: str) -> None:
        with self.node.database.read() as session:
            (chosen,) = result_life.sets_of_series(session, uid_of(name))
        reason = next(iter(RejectionReason))
        told = retract(self.node.database, self.node.settings, chosen, reason, self.now)
        assert set(told.notified) == {"first", "second"}
        assert all(self.node.deliver(each) for each in (self.first, self.second))

    def remove(self, name: str) -> None:
        """Its rows are gone; the keeper was killed before it came to the files."""
        with self.node.database.write() as session:
            assert retention.remove_series(session, uid_of(name), lambda _: True, self.now)

    def begin_to_send(self) -> None:
        args = ("second", "node/deliverer/0/", self.now, OVER)
        with self.node.database.write() as session:
            taken = outbox.claim_deliveries(session, *args, limit=10)
        assert len(taken) == 4

    def make(self) -> None:
        both = (self.first, self.second)
        self.analyse("withdrawn", sent_to=both)
        self.withdraw("withdrawn")
        self.analyse("removed", sent_to=both)
        self.remove("removed")
        self.analyse("sending", sent_to=(self.first,))
        self.begin_to_send()
        self.analyse("analysed", sent_to=(self.first,))
        self.queue("failed")
        (path,) = [p for p in self.node.files.iter_paths() if self.is_of(p, "failed")][:1]
        os.truncate(self.node.files.open_path(path), 700)
        self.node.analyse()
        self.queue("parked")
        assert [self.claim() is None for _ in range(4)] == [False, False, False, True]
        self.receive("skipped", slices=2)
        self.node.assess()
        # the notes on what was not analysed, each with its first destination already
        assert NoteWriter(self.node.settings, self.node.database).write_due(
            self.now + timedelta(seconds=90)
        )
        assert self.node.deliver(self.first)
        self.queue("running")
        assert self.claim() is not None
        self.queue("queued")
        self.receive("held")
        self.receive("held", brighter=64)
        self.node.assess()
        self.receive("receiving")

    def is_of(self, path: str, name: str) -> bool:
        content = self.node.files.open_path(path).read_bytes()
        return f"{uid_of(name)}.0".encode() in content

    def check(self) -> None:
        """Each is in the state that its name says."""
        detail = {name: self.node.detail(uid_of(name)) for name in SERIES if name != "removed"}
        states = {name: each.series.state for name, each in detail.items()}
        waits = {SeriesState.RECEIVING: {"held", "receiving"}}
        waits[SeriesState.QUEUED] = {"running", "queued"}
        waits[SeriesState.FAILED] = {"failed", "parked"}
        waits[SeriesState.SKIPPED] = {"skipped"}
        waits[SeriesState.ANALYSED] = {"withdrawn", "sending", "analysed"}
        for state, names in waits.items():
            assert {n for n, s in states.items() if s is state} == names, (state, states)
        assert [each.state for each in detail["parked"].jobs][-1] is JobState.PARKED
        assert [each.state for each in detail["running"].jobs][-1] is JobState.RUNNING
        assert {each.state for each in detail["held"].conflicts} == {ConflictState.HELD}
        sending = {(d.destination, d.state) for d in detail["sending"].deliveries}
        assert sending == {
            ("first", DeliveryState.DELIVERED),
            ("second", DeliveryState.SENDING),
        }
        notes = {r.kind for name in ("failed", "parked", "skipped") for r in detail[name].results}
        assert notes == {"note"}


def make(folder: Path, archive: Path) -> None:
    with running_pacs() as first, running_pacs() as second:
        peers = [
            pacs.destination.model_copy(update={"name": name})
            for name, pacs in (("first", first), ("second", second))
        ]
        data = folder / "data"
        with only_one(data) as node_id:
            node = Pipeline(data, covnet_bundle(folder / "models"), peers)
            note_first_start(node.settings)
            assert Taking(node.settings, node_id).taken
            site = Site(node, folder)
            site.make()
            site.check()
            node.database.close()
    (data / "node.lock").unlink()
    with tarfile.open(archive, "w:xz", preset=9) as packed:
        for each in sorted(data.iterdir()):
            packed.add(each, each.name, filter=_nobody)


def _nobody(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        make(Path(name), Path(sys.argv[1]))
