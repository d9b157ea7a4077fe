"""A campaign is entered: its plan checked against the configuration."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from dicomnode.campaign.bucket import BUCKET_TITLE, BucketSource
from dicomnode.campaign.cohort import Cohort
from dicomnode.campaign.folder import AE_TITLE, FolderSource
from dicomnode.campaign.shared_pace import SharedPace
from dicomnode.campaign.sources import ArchiveSource, Catalogue, Source
from dicomnode.campaign.web_cohort import WebCohort
from dicomnode.config.destinations import Peer, WebServer
from dicomnode.config.settings import Settings
from dicomnode.decisions.campaign.plan import Plan, checked_name
from dicomnode.decisions.campaign.windows import windows
from dicomnode.errors import ConfigurationError
from dicomnode.pull.run import sender_name
from storage import campaigns
from storage.bucket import Bucket
from storage.campaign_records import Campaign
from storage.database import Database
from storage.errors import ObjectStoreError

_Named = TypeVar("_Named", Peer, WebServer)


def enter(database: Database, settings: Settings, name: str, plan: Plan, now: datetime) -> None:
    """
    Raises:
        ConfigurationError: its name is none, or another's; the configuration has no such archive or
            destination; the folder or bucket is none, or the node's own.
        DatabaseUnavailableError
    """
    try:
        checked_name(name)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    if plan.to and plan.to not in {each.name for each in settings.destinations}:
        raise ConfigurationError(f"no destination is called {plan.to!r}")
    sender = _sender(settings, plan)
    days = windows(plan.first, plan.last) if plan.first and plan.last else ()
    spans = [(each.first, each.last, each.begin, each.end) for each in days]
    with database.write() as session:
        made = campaigns.create(session, name, plan.as_json(), sender, plan.to, spans, now)
    if not made:
        raise ConfigurationError(f"there is a campaign called {name!r} already")


def _sender(settings: Settings, plan: Plan) -> str:
    """The calling AE title of what it has sent, or what stands in its place."""
    match plan.source:
        case "pacs":
            return peer_of(settings, plan).ae_title
        case "dicomweb":
            return sender_name(server_of(settings, plan))
        case "bucket":
            _bucket(settings, plan)
            return BUCKET_TITLE
    _folder(settings, plan)
    return AE_TITLE


def _folder(settings: Settings, plan: Plan) -> Path:
    """Of others: what a node keeps itself it would take in once more."""
    folder = Path(plan.place)
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is no folder")
    scheme, _, store = settings.object_store.url.partition("://")
    own = {"node.data_directory": settings.node.data_directory}
    own |= {"object_store.url": Path(store)} if scheme == "file" else {}
    for key, place in own.items():
        if _is_within(folder, place):
            raise ConfigurationError(f"{folder} is the node's own: it lies in {key}, {place}")
        if _is_within(place, folder):
            raise ConfigurationError(f"{folder} holds what is the node's own: {key}, {place}")
    return folder


def _is_within(inner: Path, outer: Path) -> bool:
    """By whatever name, as a link or a mount has it."""
    real = inner.resolve()
    return outer.exists() and any(
        each.exists() and each.samefile(outer) for each in (real, *real.parents)
    )


def _bucket(settings: Settings, plan: Plan) -> Bucket:
    own, place = f"{settings.object_store.url}/", f"{plan.place.rstrip('/')}/"
    if settings.object_store.url and (own.startswith(place) or place.startswith(own)):
        raise ConfigurationError(f"{plan.place} is the node's own: object_store.url, {own[:-1]}")
    try:
        return settings.object_store.bucket(plan.place)
    except ObjectStoreError as error:
        raise ConfigurationError(str(error)) from error


def own_folder(settings: Settings, campaign: Campaign) -> Path:
    """Of this node for a campaign: whoever works on it holds its lock, as one process of a node
    does so at a time.

    Raises:
        ConfigurationError: it cannot be made.
    """
    folder = settings.node.data_directory / "campaigns" / str(campaign.campaign_id)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{folder}: {error.strerror}") from error
    return folder


def source_of(
    database: Database, settings: Settings, campaign: Campaign, stop: threading.Event
) -> Source:
    """What its plan names.

    Raises:
        ConfigurationError: there is no such archive any more; the folder or bucket is none any
            more, or the node's own by now.
    """
    plan, role = Plan.from_json(campaign.plan), f"campaign-{campaign.campaign_id}"
    rate = plan.images_per_second
    if plan.source == "folder":
        return FolderSource(settings, database, _folder(settings, plan), rate, stop, role)
    if plan.source == "bucket":
        return BucketSource(settings, database, _bucket(settings, plan), rate, stop, role)
    timeout = settings.query.retrieve_timeout_seconds
    query: dict[str, Any] = {"images_per_second": rate}
    cohort: Catalogue
    if plan.source == "pacs":
        peer = query["peer"] = peer_of(settings, plan)
        if settings.query.retrieve == "wado-rs":
            query["retrieve"] = "c-move"
        cohort = Cohort(peer, settings.node.ae_title, timeout)
    else:
        server = query["web"] = server_of(settings, plan)
        query["retrieve"] = "wado-rs"
        cohort = WebCohort(server, timeout)
    limited = settings.model_copy(update={"query": settings.query.model_copy(update=query)})
    pace = SharedPace(database, campaign.campaign_id, rate, stop)
    return ArchiveSource(limited, database, cohort, plan.modality, stop, role, pace)


def peer_of(settings: Settings, plan: Plan) -> Peer:
    """The archive that is named, wherever in the configuration.

    Raises:
        ConfigurationError: there is none.
    """
    named = (*settings.peers, *settings.dicom_destinations)
    asked = () if settings.query.peer is None else (settings.query.peer,)
    places: tuple[Peer, ...] = (*asked, *named)
    return _called(plan.place, places, "archive")


def server_of(settings: Settings, plan: Plan) -> WebServer:
    """As `peer_of`, a DICOMweb server.

    Raises:
        ConfigurationError: there is none.
    """
    named = [each for each in settings.destinations if isinstance(each, WebServer)]
    asked = () if settings.query.web is None else (settings.query.web,)
    places: tuple[WebServer, ...] = (*asked, *named)
    return _called(plan.place, places, "DICOMweb server")


def _called(name: str, places: Iterable[_Named], what: str) -> _Named:
    known = {each.name: each for each in reversed(tuple(places))}
    if name not in known:
        listed = ", ".join(sorted(known)) or "none"
        raise ConfigurationError(f"no {what} is called {name!r}; known: {listed}")
    return known[name]
