"""Analysing a series again, with another model or other settings than before.

Who has the older results gets new ones that name the older report: the same input with another
model or other settings gives other UIDs. With the same it would give the same UIDs, and an archive
keeps what it has under a UID: so that is refused.
"""

from __future__ import annotations

from datetime import datetime

from dicomnode.config import Settings, kept_settings
from dicomnode.errors import ConfigurationError, DataError
from dicomnode.result_settings import configuration_digest
from dicomnode.results.uids import UidSeed, model_digest
from inference.bundle import load_card
from storage import result_life
from storage.database import Database
from storage.records import ResultSet
from storage.reopening import reopen_ended

_KEPT = "settings.json"


def renew(database: Database, settings: Settings, chosen: ResultSet, now: datetime) -> str:
    """Have the series of a set decided on and analysed anew by the running node; its UID.

    Raises:
        ConfigurationError: the node was started with other settings, or never.
        DataError: there are results of this model and these settings, or the series is not
            decided yet or has no files any more.
        BundleError: the card of a configured bundle cannot be read.
    """
    check_started_with(settings)
    uid = chosen.series.series_key
    with database.read() as session:
        sets = result_life.sets_of_series(session, uid)
    if any(_made_alike(each, settings) for each in sets):
        raise DataError("results", f"those of series {uid} are of this model and these settings")
    with database.write() as session:
        reopened = reopen_ended(session, uid, now)
    if not reopened:
        raise DataError("series", f"{uid} is not decided yet, or its files were removed")
    return uid


def check_started_with(settings: Settings) -> None:
    """Whether the node runs, or last ran, with these settings: else it would make the same again.

    Raises:
        ConfigurationError: it did not.
    """
    try:
        started = kept_settings(settings.node.data_directory / _KEPT)
    except OSError as error:
        raise ConfigurationError("no node has run yet on this data directory") from error
    if configuration_digest(started) != configuration_digest(settings):
        raise ConfigurationError("the node runs with other settings: start it anew first")


def _made_alike(made: ResultSet, settings: Settings) -> bool:
    """Whether a report would get the UID that it has, if it were made today."""
    card = load_card(settings.bundle_folders["covnet"])
    seed = UidSeed(
        source_series_uid=made.series.series_instance_uid,
        source_digest=made.series.input_digest or "",
        model_digest=model_digest(card.name, card.version, card.weights_sha256),
        configuration_digest=configuration_digest(settings),
    )
    reports = [each for each in made.results if each.kind == "sr"]
    return any(seed.uid("sr", each.sop_class_uid) == each.sop_instance_uid for each in reports)
