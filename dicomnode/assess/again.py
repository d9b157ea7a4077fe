"""Having a series decided on and analysed anew, as a person wishes: by the running node.

`renew`: with another model or other settings, or since a method had failed. Who has the older
results gets new ones that name the older report. The same model and settings would say the same
again: that is refused. What an analysis was made with is kept with it; of one made by a version
that did not keep it nobody knows, and it can be renewed.

`try_again`: of a series that failed, when what it failed by has been mended. The node never does it
by itself: a series fails when its attempts are used up, or when another would end the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from dicomnode.config.settings import Settings
from dicomnode.data_directory.holding import settings_now
from dicomnode.decisions.reasons import Verdict
from dicomnode.deliver.result_settings import analysis_digest
from dicomnode.deliver.routing import routing
from dicomnode.errors import ConfigurationError, DataError
from storage.database import Database
from storage.decided import AnalysisMarks
from storage.records import SeriesDetail, SeriesRecord, SeriesState
from storage.reopening import reopen_ended, retry_failed

_NEXT = {
    SeriesState.RECEIVING: "it is not decided yet: `queue why` tells what it waits for",
    SeriesState.QUEUED: "it waits to be analysed, or is",
    SeriesState.ANALYSED: "it was analysed: `results renew` analyses it again",
    SeriesState.SKIPPED: "it was skipped, by the rules that `queue why` tells: where the "
    "configuration has changed since, `results renew` decides anew",
}


def renew(database: Database, settings: Settings, series: SeriesRecord, now: datetime) -> None:
    """Have a series decided on and analysed anew by the running node; it need not have results.

    Raises:
        ConfigurationError: the node was started with other settings, or never.
        DataError: its results are whole, of this model and these settings, or the series is not
            decided yet or has no files any more.
        BundleError: the card of a configured bundle cannot be read.
    """
    check_started_with(settings, series.calling_ae_title)
    key = series.series_key
    if _made_alike(series, settings):
        raise DataError("results", f"those of series {key} are of this model and these settings")
    with database.write() as session:
        reopened = reopen_ended(session, key, now)
    if not reopened:
        raise DataError("series", f"{key} is not decided yet, or its files were removed")


def check_started_with(settings: Settings, sender: str) -> None:
    """Whether the node runs, or last ran, with these settings: else it would make the same again.

    `sender`: calling AE title of who sent the series.

    Raises:
        ConfigurationError: it did not.
    """
    try:
        started = settings_now(settings.node.data_directory)
    except OSError as error:
        raise ConfigurationError("no node has run yet on this data directory") from error
    except ValidationError as error:
        text = "another version of the node was started here: start this one first"
        raise ConfigurationError(text) from error
    if _digest(started, sender) != _digest(settings, sender):
        text = (
            "the node runs with other settings: `dicomnode config reload`, or start it anew first"
        )
        raise ConfigurationError(text)


def _made_alike(series: SeriesRecord, settings: Settings) -> bool:
    """Whether an analysis would leave what the last one left, if it were made today.

    Not after one in which a method failed: that is tried again.
    """
    made = AnalysisMarks.from_json(series.analysis or {})
    return not made.failed and made.made_with == _digest(settings, series.calling_ae_title)


def _digest(settings: Settings, sender: str) -> str:
    return analysis_digest(settings, routing(settings, [sender]).variants)


@dataclass(frozen=True)
class Retried:
    """A series that is tried again. `failed_by`: the rules that it failed by, as they were told."""

    series_key: str
    failed_by: tuple[str, ...]

    @property
    def text(self) -> str:
        """What was done, for a person."""
        return f"had ended by {'; '.join(self.failed_by)}; is decided on again"

    def as_json(self) -> dict[str, object]:
        return {"series_key": self.series_key, "failed_by": list(self.failed_by)}


def try_again(
    database: Database, details: Sequence[SeriesDetail], now: datetime
) -> tuple[Retried, ...]:
    """Have those of the series that failed, or that a person cancelled, decided on and analysed
    again by the running node.

    Each has all its attempts anew; what it had failed by stays in its history.

    Raises:
        DataError: none of them failed, or their files were removed; says of each what it is.
    """
    retried, refused = [], []
    for series in (detail.series for detail in details):
        with database.write() as session:
            done = retry_failed(session, series.series_key, now)
        if done:
            retried.append(Retried(series.series_key, _failed_by(series)))
        else:
            refused.append(f"{series.series_key}: {_why_not(series)}")
    if not retried:
        raise DataError("series", "; ".join(refused))
    return tuple(retried)


def _failed_by(series: SeriesRecord) -> tuple[str, ...]:
    failed = (each for each in series.reasons if each.verdict is Verdict.FAIL)
    return tuple(f"{each.rule}: {each.value}" for each in failed)


def _why_not(series: SeriesRecord) -> str:
    if series.removed_at is not None:
        return f"its files were removed {series.removed_at:%Y-%m-%d}: send it again"
    return _NEXT.get(series.state, "it is being tried again already")
