"""A node that receives, seals and sends, and whose analyses are done elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from dicomnode.config.object_store import ObjectStoreSettings
from storage.nodes import all_nodes
from storage.overview_records import Node as NodeRecord
from storage.records import JobKind, JobRecord, JobState, SeriesState
from support.node import Node
from support.pacs import Pacs, running_pacs
from support.phantom import series_uid, write_series
from support.postgresql import PostgresqlServer
from support.seaweedfs import SECRET, USER, VARIABLE
from support.wait import wait_for
from support.worker_host import WorkerHost


class SiteOfWorkers:
    """One node that receives, seals and sends, and has no worker; hosts of workers beside it."""

    def __init__(self, folder: Path, models: Path, pacs: Pacs, store: ObjectStoreSettings) -> None:
        self._folder, self._sent = folder, 0
        self.pacs = pacs
        toml = f"""[inference]
            workers = 0
            lease_seconds = 6.0
            [object_store]
            url = "{store.url}"
            endpoint = "{store.endpoint}"
            region = "{store.region}"
            credentials = {{ user = "{USER}", variable = "{VARIABLE}" }}
            seal_after_seconds = 0.5"""
        self.node = Node(folder / "node", [pacs.destination], toml, models=models)

    def host(self, name: str, **keys: str) -> WorkerHost:
        return WorkerHost(self._folder / name, self.node.config, **keys)

    def nodes(self) -> tuple[NodeRecord, ...]:
        with self.node.open_database().read() as session:
            return all_nodes(session)

    def send(self, count: int, *, analysed_meanwhile: bool = False) -> list[str]:
        """So many series; their UIDs, once each waits for a worker and lies in the store, but where
        workers take them as they come."""
        uids = []
        for number in range(self._sent, self._sent + count):
            files = write_series(self._folder / f"series-{number}", seed=number)
            assert len(self.node.send(files)) == len(files)
            uids.append(series_uid(files))
            self._sent += 1
        if not analysed_meanwhile:
            wait_for(lambda: self.all_sealed(uids), f"sealed; log:\n{self.node.log[-3000:]}")
        return uids

    def all_sealed(self, uids: Sequence[str]) -> bool:
        details = [self.node.detail(uid) for uid in uids]
        if not all(each and each.series.state is SeriesState.QUEUED for each in details):
            return False
        with self.node.open_database().read() as session:
            left = "SELECT count(*) FROM instance WHERE object_name IS NULL"
            return session.connection().exec_driver_sql(left).scalar() == 0

    def analysis(self, uid: str) -> JobRecord:
        detail = wait_for(lambda: self.node.detail(uid), "it is known")
        (found,) = (each for each in detail.jobs if each.kind is JobKind.ANALYSE)
        return found

    def held_by(self, host: WorkerHost, uids: Sequence[str]) -> list[str]:
        """The series whose analysis a host holds now."""
        mine = f"{host.node_id}/"
        held = [(uid, self.analysis(uid)) for uid in uids]
        return [
            uid
            for uid, each in held
            if each.state is JobState.RUNNING and (each.owner or "").startswith(mine)
        ]

    def expect_one_set_of_results(self, uids: Sequence[str]) -> None:
        """Of each series in the PACS, as the node sent it."""
        wanted = []
        for uid in uids:
            detail = self.node.wait_until_ended(uid)
            assert detail.series.state is SeriesState.ANALYSED, detail.series.reasons
            assert detail.results
            assert all(each.object_name and not each.node_id for each in detail.results)
            wanted += [each.sop_instance_uid for each in detail.results]
        assert sorted(str(each.SOPInstanceUID) for each in self.pacs.received) == sorted(wanted)


@contextmanager
def site_of_workers(
    folder: Path, models: Path, postgresql: PostgresqlServer, store: ObjectStoreSettings
) -> Iterator[SiteOfWorkers]:
    """Its node runs; what the environment says meanwhile is for whoever works for it, too."""
    with ExitStack() as stack:
        url = stack.enter_context(postgresql.empty_database())
        pacs = stack.enter_context(running_pacs())
        environment = stack.enter_context(pytest.MonkeyPatch.context())
        environment.setenv("DICOMNODE_NODE__DATABASE_URL", url)
        environment.setenv("DICOMNODE_NODE__SHARES_DATABASE", "true")
        environment.setenv(VARIABLE, SECRET)
        own = store.model_copy(update={"url": f"{store.url}/{uuid4().hex}"})  # of one database
        made = SiteOfWorkers(folder, models, pacs, own)
        stack.callback(made.node.close)
        made.node.start()
        yield made
