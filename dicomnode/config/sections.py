"""The sections of the configuration that are not a policy of a decision."""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from dicomnode.config.destinations import Peer, WebServer
from dicomnode.config.section import Section
from dicomnode.decisions.arrival.admission import AdmissionPolicy
from dicomnode.decisions.arrival.resend import ResendPolicy
from dicomnode.decisions.policy import AeTitle, NotNegative, Port, Positive
from dicomnode.decisions.retry import RetryPolicy
from dicomnode.tls import TlsPolicy
from inference.demonstration import shipped_bundles
from inference.entry_errors import SECRET
from storage.database import checked_url
from storage.errors import DatabaseUrlError


def _is_database_url(url: str) -> str:
    try:
        if url:
            checked_url(url)
    except DatabaseUrlError as error:
        raise ValueError(str(error)) from None
    return url


_DatabaseUrl = Annotated[str, AfterValidator(_is_database_url), Field(json_schema_extra=SECRET)]


def _plain_address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise ValueError(f"{text!r} is no address") from None


_Address = Annotated[str, AfterValidator(_plain_address)]


class NodeSettings(Section):
    ae_title: AeTitle = "DICOMNODE"
    data_directory: Path = Path("dicomnode-data")
    database_url: _DatabaseUrl = ""  # empty: SQLite in the data directory
    shares_database: bool = False  # with other nodes, of which each has a data directory of its own
    lost_after_seconds: Annotated[float, Field(ge=20)] = 60.0


class ReceiveSettings(Section):
    address: str = "127.0.0.1"
    port: Port = 11112
    plain: bool = True  # without TLS, on this port
    proxies: tuple[_Address, ...] = ()  # who say for whom they speak (PROXY protocol, version 2)
    processes: Annotated[int, Field(ge=1, le=64)] = 2
    maximum_associations: Annotated[int, Field(ge=1, le=1000)] = 64
    waiting_associations: Annotated[int, Field(ge=0, le=10000)] = 256
    waiting_seconds: Positive = 20.0
    maximum_pdu_length: Annotated[
        int, Field(ge=4096, le=1 << 20, json_schema_extra={"unit": "bytes"})
    ] = 131072
    network_timeout_seconds: Positive = 60.0
    acse_timeout_seconds: Positive = 30.0
    durability: Literal["disk", "store"] = "disk"
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

    @model_validator(mode="after")
    def _this_machine_is_no_proxy(self) -> Self:
        if own := sorted(set(self.proxies) & set(self.own_addresses)):
            raise ValueError(
                f"proxies: from {own[0]} the node reaches itself (canary, commission): let a proxy "
                "on this machine connect from another address (HAProxy: source)"
            )
        return self

    @property
    def own_addresses(self) -> tuple[str, ...]:
        """From where this machine reaches its own ports, the first of them where to."""
        any_address = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - to be told from others
        loopback = ("127.0.0.1", "::1")
        here = any_address.get(self.address, self.address)
        try:
            return tuple(dict.fromkeys((str(ip_address(here)), *loopback)))
        except ValueError:  # a host name
            return loopback

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


class MethodSettings(Section):
    """A method is a bundle; `task`: what it must be made for, empty for any method."""

    bundle: Annotated[str, Field(min_length=1)]
    task: Annotated[str, AfterValidator(_is_no_task_of_lungs)] = ""


def _is_capability(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_.\-]{0,31}|", name, re.ASCII):
        raise ValueError(f"{name!r} is no name of a capability: small letters, digits, . _ -")
    return name


_Capability = Annotated[str, AfterValidator(_is_capability)]
_Named = Annotated[_Capability, Field(min_length=1)]

FORMER = {"bundle": "covnet", "regions_bundle": "regions"}
"""Keys of `[inference]` that `methods` replaced, each with the task of its bundle."""


class InferenceSettings(Section):
    methods: tuple[MethodSettings, ...] = ()  # empty: the demonstration bundles
    lungs_bundle: str = ""  # empty, beside methods of one's own: the classical method
    intended_use_here: Literal["none", "demonstration", "research", "clinical"] = "none"
    allow_demonstration_model: bool = False  # serve with weights not trained on patients' labels
    device: Literal["auto", "cpu", "cuda"] = "auto"
    engine: Literal["auto", "openvino", "torch"] = "auto"
    precision: Literal["auto", "f32", "bf16"] = "auto"
    threads: Annotated[int, Field(ge=0)] = 0  # 0: as torch decides
    workers: Annotated[int, Field(ge=0, le=64)] = 1  # 0: those of other hosts analyse
    at_once: Annotated[int, Field(ge=1, le=16)] = 1  # series of each worker, on PyTorch
    needs: _Capability = ""  # what a worker must have
    capabilities: tuple[_Named, ...] = ()  # what workers here have beside "cpu" and "gpu"
    memory_gib: NotNegative = 0.0  # of each worker; 0: what the machine has
    begin_early: bool = True  # compute while a series comes, and while it is waited for
    lease_seconds: Positive = 30.0
    deadline_seconds: Positive = 900.0

    @model_validator(mode="before")
    @classmethod
    def _former_keys(cls, data: Any) -> Any:
        """A bundle for COVNet, and one for location attention, beside the demonstration's."""
        if not isinstance(data, dict) or not FORMER.keys() & data.keys():
            return data
        if "methods" in data:
            raise ValueError(f"methods takes the place of {' and '.join(FORMER)}: name one only")
        wrong = [key for key in FORMER if not isinstance(data.get(key, ""), str)]
        if wrong:
            raise ValueError(f"{' and '.join(wrong)} must be text, the folder of a bundle")
        given = {task: data[key] for key, task in FORMER.items() if data.get(key)}
        rest = {key: value for key, value in data.items() if key not in FORMER}
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


class QuerySettings(Section):
    """The PACS that is asked by C-FIND how many instances a series has; without peer, nobody is.

    And the archive that series are pulled from, on demand: the same, or a DICOMweb server.
    """

    peer: Peer | None = None
    timeout_seconds: Positive = 5.0
    every_seconds: Annotated[float, Field(ge=0.5)] = 3.0
    most_matches: Annotated[int, Field(ge=1, le=100_000)] = 5000
    retrieve: Literal["c-move", "c-get", "wado-rs"] = "c-move"
    web: WebServer | None = None
    images_per_second: NotNegative = 50.0  # 0: no limit
    retrieve_timeout_seconds: Positive = 300.0

    @model_validator(mode="after")
    def _there_is_somebody_to_ask(self) -> Self:
        if self.retrieve == "wado-rs" and self.web is None:
            raise ValueError('retrieve = "wado-rs" needs query.web: the server that is asked')
        return self

    def anchored(self, folder: Path) -> Self:
        """Relative paths are taken from this folder."""
        peer, web = self.peer and self.peer.anchored(folder), self.web and self.web.anchored(folder)
        return self.model_copy(update={"peer": peer, "web": web})


class DeliverySettings(Section):
    retry: RetryPolicy = RetryPolicy()
    lease_seconds: Positive = 120.0
    timeout_seconds: Positive = 30.0
