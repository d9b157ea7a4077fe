"""What of a receiver follows the configuration while it runs: no association is lost by it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from dicomnode.commitment.reports import Reports
from dicomnode.config.settings import Settings
from dicomnode.disk_gate import DiskGate
from dicomnode.lifecycle import ends_process_on_fault
from dicomnode.network.tls_acceptor import ServerTls
from dicomnode.receive.access import AssociationGate

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Renewable:
    """Whom it lets in, with which certificate, how full the disk may be, whose reports it takes.

    `tls`: None where no port is served with it.
    """

    gate: AssociationGate
    disk: DiskGate
    reports: Reports
    tls: ServerTls | None

    def take_over(self, settings: Settings) -> None:
        self.gate.take_over(settings.admission)
        self.disk.take_over(settings.disk)
        self.reports.take_over(settings)
        if self.tls is not None:
            self.tls.take_over(settings.receive.tls)
        log.info("the changed configuration is taken over")

    def follow(self, renewed: threading.Event, settings: Callable[[], Settings]) -> None:
        """Take over in a thread whatever `settings` gives, each time that `renewed` is set."""

        @ends_process_on_fault
        def run() -> None:
            while renewed.wait():
                renewed.clear()
                self.take_over(settings())

        threading.Thread(target=run, name="renewal", daemon=True).start()
