"""What a series is analysed with, as far as all who share its work must have the same.

The release, the models, and the configuration that decides on results and where they go. Not what
each machine computes with, nor the AE title: these differ between the nodes of one site.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

from dicomnode.config.digest import sha256_of
from dicomnode.config.settings import Settings
from dicomnode.deliver.result_settings import NOT_OF_AN_ANALYSIS
from dicomnode.deliver.routing import variant_for
from dicomnode.lifecycle import Outage, do_once
from dicomnode.methods.bundles import model_names
from dicomnode.version import VERSION
from storage import nodes
from storage.database import Database
from storage.nodes import DESTINATIONS
from storage.overview_records import node_of

_SECTIONS = ("eligibility", "chest", "results", "routes")
_SHOWN = 12
_RETRY_SECONDS = 1.0


@dataclass(frozen=True)
class Equipment:
    """`parts`: a word for each, by its name: what differs is told by them."""

    parts: Mapping[str, str]

    @property
    def digest(self) -> str:
        """SHA-256 of all of it."""
        return sha256_of(dict(self.parts))


def equipment(settings: Settings, models: Mapping[str, str] | None = None) -> Equipment:
    """`models`: as `model_names` of those that are loaded; None: of those in the folders now.

    Raises:
        BundleError: the card of a configured bundle cannot be read.
    """
    inference, of_all = settings.inference, settings.results.variant
    models = model_names(settings) if models is None else models
    kept = settings.model_dump(mode="json", include={*_SECTIONS})
    kept["results"] = {k: v for k, v in kept["results"].items() if k not in NOT_OF_AN_ANALYSIS}
    kept["destinations"] = [
        [each.name, getattr(each, "ae_title", ""), sorted(variant_for(each, of_all).choices)]
        for each in settings.destinations
    ]
    kept["canary"] = sorted(settings.canary.destinations)
    return Equipment(
        {
            "release": VERSION,
            **{f"model {task}": name for task, name in models.items()},
            "intended_use_here": inference.intended_use_here,
            DESTINATIONS: json.dumps(sorted(each.name for each in settings.destinations)),
            **{f"[{name}]": sha256_of(value)[:_SHOWN] for name, value in kept.items()},
        }
    )


def tell_equipment(settings: Settings, owner: str, stop: threading.Event) -> None:
    """With what a node decides, as soon as its database is there: whoever has another leaves those
    analyses alone.

    Raises:
        BundleError: the card of a configured bundle cannot be read.
    """
    has, node_id = equipment(settings), node_of(owner)

    def tell() -> None:
        database = Database.open_later(settings.database_url)
        with closing(database), database.write() as session:
            nodes.tell_equipment(session, node_id, has.parts, has.digest, receives=True)

    do_once(tell, stop, Outage("telling with what is analysed"), _RETRY_SECONDS)
