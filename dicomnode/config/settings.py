"""All of the configuration: one frozen object, passed in.

`etc/dicomnode.toml` shows every key with its default, unit and one sentence; a test holds the two
equal.
"""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator

from dicomnode.config.alerts import AlertSettings
from dicomnode.config.audit import AuditSettings
from dicomnode.config.destinations import AnyDestination, Destination, Peer
from dicomnode.config.http import HttpSettings
from dicomnode.config.object_store import ObjectStoreSettings
from dicomnode.config.section import Section
from dicomnode.config.sections import (
    DeliverySettings,
    InferenceSettings,
    NodeSettings,
    QuerySettings,
    ReceiveSettings,
)
from dicomnode.decisions.arrival.admission import AdmissionPolicy
from dicomnode.decisions.arrival.admission import Peer as Admitted
from dicomnode.decisions.arrival.completeness import CompletenessPolicy
from dicomnode.decisions.arrival.disk import DiskPolicy
from dicomnode.decisions.delivery.routes import SENDER, Route, unknown_names
from dicomnode.decisions.eligibility.chest import ChestPolicy
from dicomnode.decisions.eligibility.eligibility import EligibilityPolicy
from dicomnode.decisions.eligibility.study_choice import StudyPolicy
from dicomnode.decisions.operating.canary import CanaryPolicy
from dicomnode.decisions.operating.health_policy import HealthPolicy
from dicomnode.decisions.result_options import ResultOptions
from dicomnode.decisions.retention import RetentionPolicy
from dicomnode.logs import LogPolicy
from storage.canary_runs import CANARY_AE_TITLE
from storage.copies import Copies
from storage.errors import StorageError
from storage.object_store import ObjectStore


class Settings(Section):
    """All of it. Policies are the decisions' own frozen dataclasses."""

    node: NodeSettings = NodeSettings()
    receive: ReceiveSettings = ReceiveSettings()
    completeness: CompletenessPolicy = CompletenessPolicy()
    query: QuerySettings = QuerySettings()
    eligibility: EligibilityPolicy = EligibilityPolicy()
    chest: ChestPolicy = ChestPolicy()
    study: StudyPolicy = StudyPolicy()
    inference: InferenceSettings = InferenceSettings()
    results: ResultOptions = ResultOptions()
    delivery: DeliverySettings = DeliverySettings()
    disk: DiskPolicy = DiskPolicy()
    retention: RetentionPolicy = RetentionPolicy()
    object_store: ObjectStoreSettings = ObjectStoreSettings()
    health: HealthPolicy = HealthPolicy()
    alerts: AlertSettings = AlertSettings()
    log: LogPolicy = LogPolicy()
    audit: AuditSettings = AuditSettings()
    http: HttpSettings = HttpSettings()
    canary: CanaryPolicy = CanaryPolicy()
    destinations: tuple[AnyDestination, ...] = ()
    peers: tuple[Peer, ...] = ()  # beside destinations: where requests for commitment are answered
    routes: tuple[Route, ...] = ()

    @model_validator(mode="after")
    def _destination_names_differ(self) -> Self:
        names = [destination.name for destination in self.destinations]
        if len(names) != len(set(names)):
            raise ValueError(f"two destinations bear the same name: {names}")
        if self.routes and SENDER in names:
            raise ValueError(f"destinations: no name may be {SENDER!r} where there are routes")
        if wrong := unknown_names(self.routes, names):
            raise ValueError("; ".join(wrong))
        if self.receive.durability == "store" and not self.object_store.url:
            raise ValueError('receive.durability = "store" needs object_store.url')
        if strange := set(self.canary.destinations) - set(names):
            raise ValueError(f"canary.destinations: no destination is called {sorted(strange)}")
        return self

    @model_validator(mode="after")
    def _shares_only_what_others_reach(self) -> Self:
        if self.node.shares_database and (missing := self._missing_for_sharing()):
            raise ValueError(f"node.shares_database: {missing}")
        if not self.inference.workers and not self.node.shares_database:
            raise ValueError("inference.workers = 0 needs node.shares_database: nobody analyses")
        return self

    def _missing_for_sharing(self) -> str:
        """What other nodes could not work with."""
        if not self.node.database_url.startswith("postgresql"):
            return "node.database_url names no PostgreSQL, which other nodes could reach"
        if not self.object_store.url:
            return "object_store.url names no store, where other nodes could read what came here"
        return ""

    @property
    def admission(self) -> AdmissionPolicy:
        """Who may open associations: whom the site names, and its canary, from this machine."""
        named = self.receive.admission.for_node(self.node.ae_title)
        if not self.canary.enabled:
            return named
        own = Admitted(ae_title=CANARY_AE_TITLE, networks=self.receive.own_addresses)
        return replace(named, peers=(*named.peers, own))

    @property
    def dicom_destinations(self) -> tuple[Destination, ...]:
        return tuple(each for each in self.destinations if isinstance(each, Destination))

    @property
    def database_url(self) -> str:
        folder = self.node.data_directory.absolute()
        return self.node.database_url or f"sqlite:///{folder / 'node.sqlite3'}"

    @property
    def instances(self) -> Path:
        """Folder of the received instances."""
        return self.node.data_directory / "instances"

    @property
    def result_files(self) -> Path:
        """Folder of the result objects."""
        return self.node.data_directory / "results"

    def copies_of(self, kind: Literal["instances", "results"]) -> Copies | None:
        """What is here of the object store, if there is one."""
        if not self.object_store.url:
            return None
        return Copies(
            self.node.data_directory / "copies" / kind, self.known_store, self._note_damaged
        )

    def known_store(self) -> ObjectStore:
        """The object store, as long as it is the one that the database knows; there must be one.

        Raises:
            ObjectStoreError: as `ObjectStoreSettings.opened`.
        """
        from storage.known_store import KnownStore  # it takes long to load

        kept = self.node.data_directory / "object-store-id"
        url = self.object_store.url
        return KnownStore(self.object_store.opened(), url, self.database_url, kept)

    def _note_damaged(self, object_name: str, series_key: str, why: str) -> None:
        """Where the database is away it is found again."""
        from storage.damage import note_damaged
        from storage.database import Database, is_missing
        from storage.statements import moment

        if is_missing(self.database_url):  # taken away while the node runs: none is made anew
            return
        with (
            suppress(StorageError),
            closing(Database.open_later(self.database_url)) as database,
            database.write() as session,
        ):
            note_damaged(session, object_name, series_key, why, moment(session))

    @property
    def models(self) -> Path:
        """Folder of the model bundles that need no path of their own."""
        return self.node.data_directory / "models"

    @property
    def audit_file(self) -> Path:
        """The audit trail."""
        return Path(self.audit.file or self.node.data_directory / "audit" / "audit.log")
