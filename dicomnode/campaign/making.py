"""A campaign is entered: its plan checked against the configuration."""

from __future__ import annotations

import threading
from datetime import datetime
from pathlib import Path

from dicomnode.campaign.folder import AE_TITLE, FolderSource
from dicomnode.campaign.sources import DicomSource, Source
from dicomnode.config.destinations import Peer
from dicomnode.config.settings import Settings
from dicomnode.decisions.campaign.plan import Plan
from dicomnode.decisions.campaign.windows import windows
from dicomnode.errors import ConfigurationError
from storage import campaigns
from storage.campaign_records import Campaign
from storage.database import Database


def enter(database: Database, settings: Settings, name: str, plan: Plan, now: datetime) -> None:
    """
    Raises:
        ConfigurationError: another bears its name, or the configuration has no such archive or
            destination.
        DatabaseUnavailableError
    """
    if plan.to and plan.to not in {each.name for each in settings.destinations}:
        raise ConfigurationError(f"no destination is called {plan.to!r}")
    sender = AE_TITLE if plan.source == "folder" else peer_of(settings, plan).ae_title
    if plan.source == "folder" and not Path(plan.place).is_dir():
        raise ConfigurationError(f"{plan.place} is no folder")
    days = windows(plan.first, plan.last) if plan.first and plan.last else ()
    spans = [(each.first, each.last, each.begin, each.end) for each in days]
    with database.write() as session:
        made = campaigns.create(session, name, plan.as_json(), sender, plan.to, spans, now)
    if not made:
        raise ConfigurationError(f"there is a campaign called {name!r} already")


def source_of(
    database: Database, settings: Settings, campaign: Campaign, stop: threading.Event
) -> Source:
    """What its plan names.

    Raises:
        ConfigurationError: there is no such archive any more.
    """
    plan, role = Plan.from_json(campaign.plan), f"campaign-{campaign.campaign_id}"
    if plan.source == "folder":
        folder, rate = Path(plan.place), plan.images_per_second
        return FolderSource(settings, database, folder, rate, stop, role)
    peer = peer_of(settings, plan)
    return DicomSource(settings, database, peer, plan, stop, role)


def peer_of(settings: Settings, plan: Plan) -> Peer:
    """The archive that is named, wherever in the configuration.

    Raises:
        ConfigurationError: there is none.
    """
    named = (*settings.peers, *settings.dicom_destinations)
    asked = () if settings.query.peer is None else (settings.query.peer,)
    all_of_them: tuple[Peer, ...] = (*asked, *named)
    found = next((each for each in all_of_them if each.name == plan.place), None)
    if found is None:
        known = ", ".join(sorted({each.name for each in all_of_them})) or "none"
        raise ConfigurationError(f"no archive is called {plan.place!r}; known: {known}")
    return found
