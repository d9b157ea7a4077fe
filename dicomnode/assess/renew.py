"""Analysing a series again: with another model or other settings, or since a method had failed.

Who has the older results gets new ones that name the older report. The same model and settings
would say the same again: that is refused. What an analysis was made with is kept with it; of one
made by a version that did not keep it nobody knows, and it can be renewed.
"""

from __future__ import annotations

from datetime import datetime

from dicomnode.config import Settings, kept_settings
from dicomnode.deliver.result_settings import analysis_digest
from dicomnode.errors import ConfigurationError, DataError
from storage.database import Database
from storage.records import SeriesRecord
from storage.reopening import reopen_ended

_KEPT = "settings.json"


def renew(database: Database, settings: Settings, series: SeriesRecord, now: datetime) -> None:
    """Have a series decided on and analysed anew by the running node; it need not have results.

    Raises:
        ConfigurationError: the node was started with other settings, or never.
        DataError: its results are whole, of this model and these settings, or the series is not
            decided yet or has no files any more.
        BundleError: the card of a configured bundle cannot be read.
    """
    check_started_with(settings)
    key = series.series_key
    if _made_alike(series, settings):
        raise DataError("results", f"those of series {key} are of this model and these settings")
    with database.write() as session:
        reopened = reopen_ended(session, key, now)
    if not reopened:
        raise DataError("series", f"{key} is not decided yet, or its files were removed")


def check_started_with(settings: Settings) -> None:
    """Whether the node runs, or last ran, with these settings: else it would make the same again.

    Raises:
        ConfigurationError: it did not.
    """
    try:
        started = kept_settings(settings.node.data_directory / _KEPT)
    except OSError as error:
        raise ConfigurationError("no node has run yet on this data directory") from error
    if analysis_digest(started) != analysis_digest(settings):
        raise ConfigurationError("the node runs with other settings: start it anew first")


def _made_alike(series: SeriesRecord, settings: Settings) -> bool:
    """Whether an analysis would leave what the last one left, if it were made today.

    Not after one in which a method failed: that is tried again.
    """
    made = series.analysis or {}
    return not made.get("failures") and made.get("made_with") == analysis_digest(settings)
