"""The acceptance sheet, as a document and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dicomnode.commission.checks import Part, Result
from dicomnode.version import PRODUCT_NAME, VERSION
from inference.evaluation.report.document import Block, Document, Heading, Notice, Paragraph, Table

_SIGNED_BY = ("Archive (PACS)", f"{PRODUCT_NAME}", "Radiology")
_DIGITS = 12  # of the configuration's digest


@dataclass(frozen=True)
class Sheet:
    """`node_ran`: a node ran on the data directory meanwhile. `configuration`: its digest."""

    ae_title: str
    done_at: datetime
    configuration: str
    patient_id: str
    node_ran: bool
    parts: tuple[Part, ...]

    def count(self, result: Result) -> int:
        return sum(part.count(result) for part in self.parts)

    @property
    def summary(self) -> str:
        return ", ".join(f"{self.count(each)} {each.value}" for each in Result)

    def as_json(self) -> dict[str, Any]:
        return {
            "ae_title": self.ae_title,
            "done_at": self.done_at.isoformat(),
            "version": VERSION,
            "configuration": self.configuration,
            "patient_id": self.patient_id,
            "node_ran": self.node_ran,
            **{each.value.replace(" ", "_"): self.count(each) for each in Result},
            "parts": [
                {"about": part.about, "checks": [each.as_json() for each in part.checks]}
                for part in self.parts
            ],
        }

    def document(self) -> Document:
        """With lines to be signed."""
        return Document(f"Acceptance sheet of {self.ae_title}", tuple(self._blocks()))

    def _blocks(self) -> Iterator[Block]:
        if self.count(Result.FAILED):
            yield Notice(f"Not accepted as it is: {self.summary}")
        else:
            yield Paragraph(f"{self.summary}.")
        yield Table(("Of this test", ""), tuple(self._facts()))
        for part in self.parts:
            yield Heading(part.about)
            rows = ((each.what, each.result, each.found, each.remedy) for each in part.checks)
            columns = ("Check", "Result", "Found", "What to set, or to do by hand")
            yield Table(columns, tuple(tuple(map(str, row)) for row in rows))
        yield Heading("Signed")
        signed = tuple((role, "", "", "") for role in _SIGNED_BY)
        yield Table(("For", "Name", "Date", "Signature"), signed)

    def _facts(self) -> Iterator[tuple[str, str]]:
        yield "Done at", f"{self.done_at:%Y-%m-%d %H:%M:%S %Z}"
        yield "Version", f"{PRODUCT_NAME} {VERSION}"
        yield "Configuration (SHA-256, first digits)", self.configuration[:_DIGITS]
        yield "Patient ID of the synthetic patient", self.patient_id
        yield "The node ran meanwhile", "yes" if self.node_ran else "no"
