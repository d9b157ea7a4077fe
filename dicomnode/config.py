"""The configuration: one frozen object, read from one TOML file and passed in.

`etc/dicomnode.toml` shows every key with its default, unit and one sentence; a test holds the two
equal. An unknown key or a value out of range is refused with its name.
"""

from __future__ import annotations

import logging
import tomllib
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)

from dicomnode.credentials import Credentials, ServiceUrl, is_on_this_machine
from dicomnode.decisions.arrival.admission import AdmissionPolicy
from dicomnode.decisions.arrival.completeness import CompletenessPolicy
from dicomnode.decisions.arrival.disk import DiskPolicy
from dicomnode.decisions.arrival.resend import ResendPolicy
from dicomnode.decisions.delivery.routes import SENDER, Route, unknown_names
from dicomnode.decisions.eligibility.chest import ChestPolicy
from dicomnode.decisions.eligibility.eligibility import EligibilityPolicy
from dicomnode.decisions.eligibility.study_choice import StudyPolicy
from dicomnode.decisions.policy import AeTitle, Port, Positive
from dicomnode.decisions.result_options import ResultOptions, SegmentationKind, SrClass
from dicomnode.decisions.retention import RetentionPolicy
from dicomnode.decisions.retry import RetryPolicy
from dicomnode.errors import ConfigurationError
from dicomnode.tls import DestinationTls, TlsPolicy
from inference.demonstration import shipped_bundles
from inference.entry_errors import SECRET, problems_of
from storage.database import checked_url
from storage.errors import DatabaseUrlError

log = logging.getLogger(__name__)


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _is_database_url(url: str) -> str:
    try:
        if url:
            checked_url(url)
    except DatabaseUrlError as error:
        raise ValueError(str(error)) from None
    return url


_DatabaseUrl = Annotated[str, AfterValidator(_is_database_url), Field(json_schema_extra=SECRET)]


class NodeSettings(_Section):
    ae_title: AeTitle = "DICOMNODE"
    data_directory: Path = Path("dicomnode-data")
    database_url: _DatabaseUrl = ""  # empty: SQLite in the data directory


class ReceiveSettings(_Section):
    address: str = "127.0.0.1"
    port: Port = 11112
    plain: bool = True  # without TLS, on this port
    processes: Annotated[int, Field(ge=1, le=64)] = 2
    maximum_associations: Annotated[int, Field(ge=1, le=1000)] = 64
    waiting_associations: Annotated[int, Field(ge=0, le=10000)] = 256
    waiting_seconds: Positive = 20.0
    maximum_pdu_length: Annotated[
        int, Field(ge=4096, le=1 << 20, json_schema_extra={"unit": "bytes"})
    ] = 131072
    network_timeout_seconds: Positive = 60.0
    acse_timeout_seconds: Positive = 30.0
    resend_conflict: ResendPolicy = ResendPolicy.NEWEST
    admission: AdmissionPolicy = AdmissionPolicy()
    tls: TlsPolicy = TlsPolicy()

    @model_validator(mode="after")
    def _some_port_is_served(self) -> Self:
        if not self.plain and not self.tls.enabled:
            raise ValueError("plain = false needs receive.tls.certificate: no port is left")
        if self.plain and self.tls.enabled and self.port == self.tls.port:
            raise ValueError("receive.port and receive.tls.port must differ")
        return self

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports that are served: the plain one, then that of TLS."""
        served = ((self.port, self.plain), (self.tls.port, self.tls.enabled))
        return tuple(port for port, wanted in served if wanted)


_LUNGS = "lungs"


def _is_no_task_of_lungs(task: str) -> str:
    if task == _LUNGS:
        raise ValueError("lungs is the task of no method: the key of its bundle is lungs_bundle")
    return task


class MethodSettings(_Section):
    """A method is a bundle; `task`: what it must be made for, empty for any method."""

    bundle: Annotated[str, Field(min_length=1)]
    task: Annotated[str, AfterValidator(_is_no_task_of_lungs)] = ""


_FORMER = {"bundle": "covnet", "regions_bundle": "regions"}
"""Keys of `[inference]` that `methods` replaced, each with the task of its bundle."""


class InferenceSettings(_Section):
    methods: tuple[MethodSettings, ...] = ()  # empty: the demonstration bundles
    lungs_bundle: str = ""  # empty, beside methods of one's own: the classical method
    intended_use_here: Literal["none", "demonstration", "research", "clinical"] = "none"
    allow_demonstration_model: bool = False  # serve with weights not trained on patients' labels
    device: Literal["auto", "cpu", "cuda"] = "auto"
    engine: Literal["auto", "openvino", "torch"] = "auto"
    threads: Annotated[int, Field(ge=0)] = 0  # 0: as torch decides
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    lease_seconds: Positive = 30.0
    deadline_seconds: Positive = 900.0

    @model_validator(mode="before")
    @classmethod
    def _former_keys(cls, data: Any) -> Any:
        """A bundle for COVNet, and one for location attention, beside the demonstration's."""
        if not isinstance(data, dict) or not _FORMER.keys() & data.keys():
            return data
        if "methods" in data:
            raise ValueError(f"methods takes the place of {' and '.join(_FORMER)}: name one only")
        wrong = [key for key in _FORMER if not isinstance(data.get(key, ""), str)]
        if wrong:
            raise ValueError(f"{' and '.join(wrong)} must be text, the folder of a bundle")
        given = {task: data[key] for key, task in _FORMER.items() if data.get(key)}
        rest = {key: value for key, value in data.items() if key not in _FORMER}
        if given and "covnet" not in given:
            shipped = {task: str(folder) for task, folder in shipped_bundles().items()}
            lungs = shipped.pop(_LUNGS)
            rest["lungs_bundle"] = rest.get("lungs_bundle") or lungs
            given = shipped | given
        return rest | {"methods": [{"bundle": b, "task": task} for task, b in given.items()]}

    @property
    def bundles(self) -> tuple[tuple[str, Path], ...]:
        """The bundles with their tasks, "" for any method: the methods in order, then the lungs.

        Those of the product where no method is named; a bundle for lungs goes with them all the
        same.
        """
        shipped = {} if self.methods else shipped_bundles()
        shipped_lungs = shipped.pop(_LUNGS, None)
        lungs = Path(self.lungs_bundle) if self.lungs_bundle else shipped_lungs
        named = ((each.task, Path(each.bundle)) for each in self.methods)
        return (*named, *shipped.items(), *([(_LUNGS, lungs)] if lungs else []))


_Name = Annotated[str, Field(min_length=1, max_length=64)]


class Peer(_Section):
    """Whom we open associations with."""

    name: _Name
    ae_title: AeTitle
    address: str
    port: Port
    tls: DestinationTls | None = None


class _Delivered(_Section):
    """What of the results a destination gets, however it is reached.

    `sr_class`, `segmentation`: None for those of `[results]`.
    """

    sr_class: SrClass | None = None
    segmentation: SegmentationKind | None = None
    associations: Annotated[int, Field(ge=1, le=16)] = 1  # at a time
    objects_per_minute: Annotated[int, Field(ge=0)] = 0  # 0: no limit
    compressed: bool = False  # JPEG as it is where it is accepted; else decompressed
    rejection_notes: bool = False  # takes Key Object rejection notes (IHE RAD, IOCM)


class Destination(Peer, _Delivered):
    """A peer that results are delivered to, and how."""

    storage_commitment: bool = False  # is asked for its promise to keep what it stored
    commitment_timeout_seconds: Positive = 600.0
    commitment_attempts: Annotated[int, Field(ge=1, le=16)] = 4


class WebDestination(_Delivered):
    """A DICOMweb server that results are delivered to by STOW-RS (PS3.18 section 10.5)."""

    storage_commitment: ClassVar[bool] = False  # DICOMweb knows none

    name: _Name
    url: ServiceUrl
    tls: DestinationTls | None = None
    credentials: Annotated[Credentials | None, Field(json_schema_extra=SECRET)] = None

    @model_validator(mode="before")
    @classmethod
    def _is_no_peer(cls, data: Any) -> Any:
        if isinstance(data, dict) and (both := [key for key in _PEER_KEYS if key in data]):
            raise ValueError(f"url is for DICOMweb, {' and '.join(both)} for DICOM: name one")
        return data

    @model_validator(mode="after")
    def _secrets_are_not_overheard(self) -> Self:
        encrypted = self.url.startswith("https:")
        if encrypted and self.tls is None:
            raise ValueError("https needs tls, with peer_ca: who vouches for the server")
        if not encrypted and self.tls is not None:
            raise ValueError("tls needs a url that begins with https")
        if self.credentials and not encrypted and not is_on_this_machine(self.url):
            raise ValueError("credentials need https: else the whole network can read them")
        return self


_PEER_KEYS = ("ae_title", "address", "port")


def _kind_of_destination(given: Any) -> str:
    web = isinstance(given, WebDestination) or (isinstance(given, dict) and "url" in given)
    return "WebDestination" if web else "Destination"


AnyDestination = Annotated[
    Annotated[Destination, Tag("Destination")] | Annotated[WebDestination, Tag("WebDestination")],
    Discriminator(_kind_of_destination),
]
"""With `url` it is a DICOMweb server."""


class QuerySettings(_Section):
    """The PACS that is asked by C-FIND how many instances a series has; without peer, nobody is."""

    peer: Peer | None = None
    timeout_seconds: Positive = 5.0
    every_seconds: Annotated[float, Field(ge=0.5)] = 3.0
    most_matches: Annotated[int, Field(ge=1, le=100_000)] = 5000


class DeliverySettings(_Section):
    retry: RetryPolicy = RetryPolicy()
    lease_seconds: Positive = 120.0
    timeout_seconds: Positive = 30.0


class Settings(_Section):
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
        return self

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

    @property
    def models(self) -> Path:
        """Folder of the model bundles that need no path of their own."""
        return self.node.data_directory / "models"


def load_settings(path: Path) -> Settings:
    """Read and check a configuration file.

    A relative `data_directory` or folder of a bundle is taken from the folder of the file. What
    replaces a former key is logged where logging is set up: no warning on every look at the queue.

    Raises:
        ConfigurationError: the file cannot be read, is no TOML, or a key is wrong; all are named.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    try:
        settings = Settings.model_validate(data)
    except ValidationError as error:
        wrong = problems_of(error, Settings.model_json_schema())
        text = "\n".join(f"  {each}" for each in wrong)
        raise ConfigurationError(f"{path}: {len(wrong)} problem(s)\n{text}") from None
    for key in _FORMER.keys() & data.get("inference", {}).keys():
        log.info("%s: [inference] %s is replaced by [[inference.methods]] bundle", path, key)
    return _anchored(settings, path.absolute().parent)


def kept_settings(path: Path) -> Settings:
    """What `supervisor.keep_settings` wrote, for the processes of a node."""
    return Settings.model_validate_json(path.read_text(encoding="utf-8"))


def _anchored(settings: Settings, folder: Path) -> Settings:
    node = settings.node.model_copy(
        update={"data_directory": folder / settings.node.data_directory}
    )
    methods = tuple(
        each.model_copy(update={"bundle": str(folder / each.bundle)})
        for each in settings.inference.methods
    )
    lungs = settings.inference.lungs_bundle
    inference = settings.inference.model_copy(
        update={"methods": methods, "lungs_bundle": str(folder / lungs) if lungs else ""}
    )
    receive = settings.receive.model_copy(update={"tls": settings.receive.tls.anchored(folder)})
    destinations = tuple(_destination_anchored(each, folder) for each in settings.destinations)
    asked = settings.query.peer and _peer_anchored(settings.query.peer, folder)
    query = settings.query.model_copy(update={"peer": asked})
    peers = tuple(_peer_anchored(each, folder) for each in settings.peers)
    changed = {"node": node, "inference": inference, "receive": receive, "query": query}
    return settings.model_copy(update=changed | {"destinations": destinations, "peers": peers})


def _destination_anchored(each: AnyDestination, folder: Path) -> AnyDestination:
    if isinstance(each, WebDestination):
        credentials = each.credentials and each.credentials.anchored(folder)
        return _peer_anchored(each.model_copy(update={"credentials": credentials}), folder)
    return _peer_anchored(each, folder)


_P = TypeVar("_P", Peer, Destination, WebDestination)


def _peer_anchored(peer: _P, folder: Path) -> _P:
    return peer.model_copy(update={"tls": peer.tls and peer.tls.anchored(folder)})
