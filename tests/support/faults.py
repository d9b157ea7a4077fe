"""The faults of a night on call, each planted in a node of `support.clinic`, as it would be found.

`States` writes down how the processes of the node fare, as its supervisor does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

from sqlalchemy import update

from dicomnode.config.reading import load_settings
from dicomnode.deliver.deliverer import Deliverer
from dicomnode.processes import states as processes
from dicomnode.processes.states import States
from storage import refusals
from storage.database import Database
from storage.models import InstanceRow, JobRow, SeriesRow
from storage.records import JobKind, JobState, SeriesState
from storage.refusals import Refusal
from support.certificates import Authority
from support.clinic import Clinic, uid_of
from support.command import dicomnode
from support.node import free_port

DEAD_DATABASE = "postgresql+psycopg://dicomnode@127.0.0.2:1/dicomnode"
_BYTES_OF_NO_DISK = 10**18


def pacs_down(node: Clinic, _states: States) -> None:
    """Results of a series were sent again, to a port that nobody listens on."""
    text = node.config.read_text()
    port = f"port = {node.pacs.destination.port}"
    node.config.write_text(text.replace(port, f"port = {free_port()}"))
    assert dicomnode("results", "resend", "A-1001").returncode == 0
    settings = load_settings(node.config)
    destination = settings.destinations[0]
    Deliverer(settings, destination, "node/deliverer/1/").deliver_some(threading.Event())


def disk_near_full(node: Clinic, _states: States) -> None:
    _configure(node, f"[health]\ndisk_warning_bytes = {_BYTES_OF_NO_DISK}\n")


def certificate_ending(node: Clinic, _states: States) -> None:
    made = Authority(node.folder / "tls", "Hospital").issue("node", days=7)
    text = (
        f'[receive.tls]\ncertificate = "{made.certificate}"\nprivate_key = "{made.private_key}"\n'
    )
    _configure(node, f"{text}require_peer_certificate = false\n")


def bad_weights(node: Clinic, states: States) -> None:
    """A byte of them is another; the worker ends at each start."""
    folder = node.folder / "damaged"
    folder.mkdir()
    for file in node.models.iterdir():
        content = bytearray(file.read_bytes())
        if file.suffix == ".safetensors":
            content[-1] ^= 1
        (folder / file.name).write_bytes(content)
    text = node.config.read_text()
    node.config.write_text(text.replace(str(node.models), str(folder)))
    for pid in (71, 72, 73):
        states.ended("worker-1", 2)
        states.started("worker-1", pid)


def database_away(node: Clinic, _states: States) -> None:
    text = node.config.read_text()
    node.config.write_text(text.replace("[node]\n", f'[node]\ndatabase_url = "{DEAD_DATABASE}"\n'))


def source_silent(node: Clinic, _states: States) -> None:
    """A scanner that is missed after four hours sent its last series five hours ago."""
    _configure(node, '[health]\nsources = [{ ae_title = "CT1", silent_hours = 4.0 }]\n')
    last = datetime.now(UTC) - timedelta(hours=5)
    series = update(SeriesRow).filter_by(calling_ae_title="CT1")
    with _database(node).write() as session:
        session.execute(series.values(last_received_at=last))


def stuck_job(node: Clinic, _states: States) -> None:
    """Whoever held it is gone, and nobody takes it up."""
    now, key = datetime.now(UTC), uid_of("A-1001")
    held = {"lease_token": "x", "owner": "node/worker-1/71/"}
    times = {"started_at": now - timedelta(hours=2), "lease_until": now - timedelta(hours=1)}
    jobs = update(JobRow).filter_by(series_key=key, kind=JobKind.ANALYSE)
    with _database(node).write() as session:
        session.execute(jobs.values(state=JobState.RUNNING, ended_at=None, **held, **times))
        _change_series(session, key, state=SeriesState.QUEUED, ended_at=None)


def unknown_ae(node: Clinic, _states: States) -> None:
    now = datetime.now(UTC)
    why = "the calling AE title is not known"
    rejected = ("A-ASSOCIATE-RJ 1/1/3", why)
    found = Refusal("association", "CT9", "DICOMNODE", "192.0.2.99", *rejected, now, now, count=3)
    with _database(node).write() as session:
        refusals.enter(session, [found])


def clock_jump(node: Clinic, _states: States) -> None:
    """The clock was an hour ahead when a series came, and was set right."""
    ahead, key = datetime.now(UTC) + timedelta(hours=1), uid_of("A-1001")
    with _database(node).write() as session:
        instances = update(InstanceRow).filter_by(series_key=key)
        session.execute(instances.values(received_at=ahead))
        _change_series(session, key, last_received_at=ahead)


def worker_killed(_node: Clinic, states: States) -> None:
    """By the kernel, for want of memory."""
    with patch.object(processes, "killed_for_memory", side_effect=[1, 2]):
        states.started("worker-1", 70)
        states.ended("worker-1", -9)
    states.started("worker-1", 71)


FAULTS: dict[str, Callable[[Clinic, States], None]] = {
    each.__name__: each
    for each in (
        pacs_down,
        disk_near_full,
        certificate_ending,
        bad_weights,
        database_away,
        source_silent,
        stuck_job,
        unknown_ae,
        clock_jump,
        worker_killed,
    )
}
"""Two more lie in the clinic as it is: a class that a PACS refuses, and a corrupt series."""


def _configure(node: Clinic, section: str) -> None:
    text = node.config.read_text()
    node.config.write_text(text.replace("[results]\n", f"{section}[results]\n"))


def _database(node: Clinic) -> Database:
    return Database.open(load_settings(node.config).database_url)


def _change_series(session: Any, key: str, **values: object) -> None:
    session.execute(update(SeriesRow).filter_by(series_key=key).values(**values))
