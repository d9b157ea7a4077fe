"""The outcome: a row for each series, as CSV or Parquet; nothing in it names a patient.

With pseudonyms the UIDs are digests under a key that the campaign alone has, the same in every
export of it; texts that may hold a UID are left out then.
"""

from __future__ import annotations

import csv
import hashlib
import hmac
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dicomnode.decisions.reasons import failed_rules
from dicomnode.errors import ConfigurationError
from dicomnode.methods.findings_json import kept_findings
from storage import campaign_series
from storage.campaign_records import Campaign, FoundRecord
from storage.database import Database
from storage.decided import Verdict

_PLAIN = (
    *("study_instance_uid", "series_instance_uid", "modality", "instances", "state", "rules"),
    *("reasons", "clinical", "agreement", "models", "made_with"),
    *("found_at", "pulled_at", "ended_at", "error"),
)
_LEFT_OUT = ("reasons", "error")
"""Of a table with pseudonyms."""

_BATCH = 1000

Row = dict[str, Any]


class Outcome:
    """The rows of a campaign; `columns`: those that each row may have, in order."""

    def __init__(self, database: Database, campaign: Campaign, *, pseudonymous: bool) -> None:
        self._database, self._campaign = database, campaign
        self._named = _digest_under(campaign.plan["key"]) if pseudonymous else str
        left_out = _LEFT_OUT if pseudonymous else ()
        self._plain = tuple(name for name in _PLAIN if name not in left_out)
        scores = {name: None for each in self._records() for name in _scores(each)}
        self.columns = (*self._plain, *sorted(scores))

    def rows(self) -> Iterator[Row]:
        for each in self._records():
            row = _row(each)
            row |= {name: self._named(row[name]) for name in row if name.endswith("_uid")}
            yield {name: row[name] for name in self._plain} | _scores(each)

    def _records(self) -> Iterator[FoundRecord]:
        with self._database.read() as session:
            yield from campaign_series.table_of(session, self._campaign.campaign_id)


def write_csv(outcome: Outcome, path: Path) -> int:
    """How many rows; times in ISO 8601, nothing for what is not known.

    Raises:
        OSError
    """
    count = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, outcome.columns, restval="", extrasaction="ignore")
        writer.writeheader()
        for row in outcome.rows():
            count += 1
            times = {
                key: each.isoformat() for key, each in row.items() if hasattr(each, "isoformat")
            }
            writer.writerow(row | times)
    return count


def write_parquet(outcome: Outcome, path: Path) -> int:
    """How many rows.

    Raises:
        ConfigurationError: pyarrow is not installed.
        OSError
    """
    try:
        import pyarrow as pa  # type: ignore[import-untyped]
        import pyarrow.parquet as pq  # type: ignore[import-untyped]
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"{error.name} is not installed: dicomnode[parquet]") from error
    kinds = {"instances": pa.int64(), "clinical": pa.bool_()}
    kinds |= {name: pa.timestamp("us", "UTC") for name in _PLAIN if name.endswith("_at")}
    text = dict.fromkeys(_PLAIN, pa.string())
    schema = pa.schema([(name, (text | kinds).get(name, pa.float64())) for name in outcome.columns])
    count = 0
    with pq.ParquetWriter(path, schema) as writer:
        for batch in _in_lists(outcome.rows()):
            writer.write_table(pa.Table.from_pylist(batch, schema))
            count += len(batch)
    return count


def _row(record: FoundRecord) -> Row:
    analysis = record.analysis or {}
    findings = kept_findings(analysis)
    failed = [each for each in record.reasons if each.verdict is Verdict.FAIL]
    models = {f"{each['model']['name']} {each['model']['version']}" for each in findings}
    return {
        "study_instance_uid": record.study_instance_uid,
        "series_instance_uid": record.series_instance_uid,
        "modality": record.modality,
        "instances": record.instances,
        "state": record.state.value,
        "rules": "; ".join(failed_rules(record.reasons)),
        "reasons": "; ".join(map(str, failed)),
        "clinical": record.clinical,
        "agreement": analysis.get("relation") or "",
        "models": "; ".join(sorted(models)),
        "made_with": analysis.get("made_with") or "",
        "found_at": record.found_at,
        "pulled_at": record.pulled_at,
        "ended_at": record.ended_at,
        "error": record.error or "",
    }


def _scores(record: FoundRecord) -> Row:
    """By method and class, as in "lungs.COVID-19"."""
    return {
        f"{'.'.join(filter(None, (each['method'], each['qualifier'])))}.{name}": float(value)
        for each in kept_findings(record.analysis or {})
        for name, value in each["scores"].items()
    }


def _digest_under(key: str) -> Callable[[str], str]:
    secret = bytes.fromhex(key)
    return lambda uid: hmac.new(secret, uid.encode(), hashlib.sha256).hexdigest()


def _in_lists(rows: Iterator[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
