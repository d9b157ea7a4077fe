"""What `audit flights` shows, and its CSV.

Assess-AI is ACR's registry of how well AI does in use. Its data dictionary is not public. Public is
what its template for "AI results" asks for (support pages of ACR Connect, "Import data from local
drive"): Patient ID, Accession Number, Result Indicator, AI Result, Manufacturer, Model, Study Date,
Software Version, Platform, Inference Date, Age, Sex, Race, Ethnicity, Exam Name, Modality, Body
Part Examined and Contrast Indication. The columns are these, by these names and in this order,
then UIDs. What a flight record does not hold, as it would name the patient or tell of the order,
stays empty: whoever submits fills it in from the RIS by Study Instance UID. How values are to be
spelled is not known: they are ours.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from datetime import UTC
from typing import Any, TextIO

from rich.console import Console
from sqlalchemy.orm import Session

from dicomnode.cli.views.tables import add_row, new_table, nothing_found, print_table
from storage import flight_records
from storage.database import Database
from storage.endings import unique_endings
from storage.flight_records import Anchor, FlightRecord

COLUMNS = (
    "Patient ID",
    "Accession Number",
    "Result Indicator",
    "AI Result",
    "Manufacturer",
    "Model",
    "Study Date",
    "Software Version",
    "Platform",
    "Inference Date",
    "Age",
    "Sex",
    "Race",
    "Ethnicity",
    "Exam Name",
    "Modality",
    "Body Part Examined",
    "Contrast Indication",
    "Study Instance UID",
    "Series Instance UID",
    "Scanner",
    "Flight Record",
)


def check(database: Database, anchor: tuple[int, str] | None) -> tuple[int, list[str]]:
    """How many records there are, and where their chain is broken."""
    count = 0

    def counted(records: Iterable[FlightRecord]) -> Iterator[FlightRecord]:
        nonlocal count
        for each in records:
            count += 1
            yield each

    told = Anchor(*anchor) if anchor else None
    with database.read() as session:
        found = flight_records.check(counted(flight_records.records(session)), told)
        breaks = [each.text for each in found]
    return count, breaks


def as_json(record: FlightRecord) -> dict[str, Any]:
    """Its content, with its place in the chain."""
    return record.content | {"previous": record.previous, "digest": record.digest}


def print_flights(
    console: Console, records: Iterable[FlightRecord], session: Session, uid: str
) -> None:
    """A row for each; `uid`: what was looked for."""
    keys = set()
    headings = ("number", "time (UTC)", "series", "findings", "models", "objects")
    table = new_table("flight records", *headings)
    for each in records:
        told = each.content
        add_row(
            table,
            str(each.number),
            f"{each.recorded_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
            each.series_key,
            "\n".join(f"{found['method']}: {found['outcome']}" for found in told["findings"]),
            "\n".join(f"{model['name']} {model['version']}" for model in told["models"]),
            str(len(told["results"])),
        )
        keys.add(each.series_key)
    endings = unique_endings(session, sorted(keys))
    wanted = {"the study, series or accession number": uid}
    print_table(console, table, endings, nothing_found("flight record", **wanted))


def write_csv(out: TextIO, records: Iterable[FlightRecord]) -> None:
    """A line for each method of each record."""
    writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for each in records:
        writer.writerows(_rows(each))


def _rows(record: FlightRecord) -> Iterator[dict[str, str]]:
    told = record.content
    for found in told["findings"]:
        scores = "; ".join(f"{name} {value:.4f}" for name, value in found["scores"].items())
        yield {
            "Result Indicator": found["outcome"],
            "AI Result": scores,
            "Manufacturer": told["product"]["manufacturer"],
            "Model": found["model"]["name"],
            "Software Version": found["model"]["version"],
            "Platform": f"{told['product']['name']} {told['product']['version']}",
            "Inference Date": told["times"]["ended"],
            "Modality": told["modality"],
            "Body Part Examined": "CHEST",
            "Study Instance UID": record.study_instance_uid,
            "Series Instance UID": told["series_instance_uid"],
            "Scanner": f"{told['scanner']['manufacturer']} {told['scanner']['model']}".strip(),
            "Flight Record": str(record.number),
        }
