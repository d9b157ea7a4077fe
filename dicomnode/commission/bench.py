"""What a test works with: objects of no patient, a database, and an ear on our own port.

Does a node run on the data directory, its receivers take the reports on storage commitment, and its
database has them. Else we listen on its ports ourselves, behind the same door, and what comes is
kept in a database of our own: none is begun for a node that has never run.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pynetdicom import evt
from pynetdicom.dimse_messages import C_ECHO_RQ

from dicomnode.commission.checks import Check, Result
from dicomnode.commitment.reports import Reports
from dicomnode.config.destinations import AnyDestination
from dicomnode.config.settings import Settings
from dicomnode.data_directory.holding import only_one
from dicomnode.deliver.result_settings import result_settings
from dicomnode.deliver.routing import variant_for
from dicomnode.errors import AlreadyRunningError
from dicomnode.fast_scp.association import PlainRequestHandler
from dicomnode.network.associations import (
    Handler,
    accept_storage_commitment,
    application_entity,
    listen,
)
from dicomnode.network.listeners import bind_listener
from dicomnode.network.tls_acceptor import ServerTls
from dicomnode.receive.access import AssociationGate
from dicomnode.results.build import ResultObject, encode
from dicomnode.synthetic.patient import SyntheticPatient
from dicomnode.synthetic.results import synthetic_results, synthetic_withdrawal
from storage.database import Database

PURPOSE = "COMMISSIONING"

Withdraw = Callable[[], Sequence[Check]]


@dataclass(frozen=True)
class Made:
    """The objects for a destination as files, the report first, and the one that withdraws them."""

    objects: tuple[tuple[ResultObject, Path], ...]
    withdrawal: tuple[ResultObject, Path]

    @property
    def series(self) -> tuple[tuple[str, str], ...]:
        """Study and Series Instance UID of each series."""
        data_sets = [each.data_set for each, _ in self.objects]
        uids = {(str(d.StudyInstanceUID), str(d.SeriesInstanceUID)) for d in data_sets}
        return tuple(sorted(uids))


@dataclass
class Bench:
    """`node_runs`: then `database` is the node's. `echoes`: C-ECHO requests that came to us, by
    calling AE title; none are seen while a node runs. `owed`: by destination, what withdraws that
    which was stored there and may not be withdrawn yet."""

    settings: Settings
    patient: SyntheticPatient
    folder: Path
    database: Database
    node_runs: bool
    echoes: Counter[str] = field(default_factory=Counter)
    came: threading.Condition = field(default_factory=threading.Condition)
    owed: dict[str, Withdraw] = field(default_factory=dict)

    @property
    def timeout(self) -> float:
        return self.settings.delivery.timeout_seconds

    def make(self, destination: AnyDestination) -> Made:
        """What it would be sent of an analysis, and what would withdraw that."""
        known = result_settings(self.settings)
        variant = variant_for(destination, self.settings.results.variant)
        objects = synthetic_results(self.patient, known, [variant])
        as_key = destination.rejection_notes
        withdrawal = synthetic_withdrawal(self.patient, known, objects, as_key_object=as_key)
        return Made(tuple(self._written(objects)), *self._written([withdrawal]))

    def _written(self, objects: Sequence[ResultObject]) -> Iterator[tuple[ResultObject, Path]]:
        for each in objects:
            path = self.folder / f"{each.sop_instance_uid}.dcm"
            path.write_bytes(encode(each))
            yield each, path

    @contextmanager
    def storing(self, destination: AnyDestination, withdraw: Withdraw) -> Iterator[None]:
        """Around all from the first object stored to the withdrawal: owed if it is broken off."""
        self.owed[destination.name] = withdraw
        yield
        del self.owed[destination.name]

    def take_back(self) -> Iterator[str]:
        """Withdraw what is owed; what is done, in words."""
        for name, withdraw in self.owed.items():
            yield f"stopped: withdrawing what was stored at {name}"
            bad = [each for each in withdraw() if each.result is Result.FAILED]
            why = f"NOT withdrawn ({bad[0].found})" if bad else "withdrawn"
            yield f"{name}: {why}; delete the study of Patient ID {self.patient.patient_id} there"

    def wait_for_echo(self, ae_title: str, seconds: float) -> bool:
        """Whether a C-ECHO of this AE came to us by then."""
        with self.came:
            return self.came.wait_for(lambda: self.echoes[ae_title] > 0, seconds)

    def on_message(self, event: evt.Event) -> None:
        if isinstance(event.message, C_ECHO_RQ):
            with self.came:
                self.echoes[event.assoc.requestor.ae_title.strip()] += 1
                self.came.notify_all()


@contextmanager
def prepared(settings: Settings, now: datetime) -> Iterator[Bench]:
    """
    Raises:
        ConfigurationError: no node runs, but its ports cannot be listened on.
    """
    patient = SyntheticPatient.new(PURPOSE, now)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="dicomnode-")))
        try:
            stack.enter_context(only_one(settings.node.data_directory))
            url, runs = f"sqlite:///{folder / 'commission.sqlite3'}", False
        except AlreadyRunningError:
            url, runs = settings.database_url, True
        database = stack.enter_context(closing(Database.open(url)))
        bench = Bench(settings, patient, folder, database, runs)
        if not runs:
            stack.enter_context(_listening(bench))
        yield bench


@contextmanager
def _listening(bench: Bench) -> Iterator[None]:
    """On the ports of the node, behind its door."""
    receive, title = bench.settings.receive, bench.settings.node.ae_title
    gate = AssociationGate(bench.settings.admission)
    ae = application_entity(title)
    ae.add_supported_context("1.2.840.10008.1.1")
    accept_storage_commitment(ae)
    handlers: dict[Any, Handler] = {
        evt.EVT_REQUESTED: gate.on_requested,
        evt.EVT_DIMSE_RECV: bench.on_message,
        evt.EVT_N_EVENT_REPORT: Reports(bench.settings, bench.database).on_report,
    }
    tls = ServerTls(receive.tls) if receive.tls.enabled else None
    try:
        for port in receive.ports:
            secured = tls if port == receive.tls.port else None
            listener = bind_listener((receive.address, port))
            listen(ae, listener, handlers, secured, PlainRequestHandler)
        yield
    finally:
        ae.shutdown()
