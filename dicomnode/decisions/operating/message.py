"""What an alert says: as JSON for a webhook, as text for a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dicomnode.decisions.operating.wording import duration, line, moment
from dicomnode.decisions.wording import how_many
from storage.decided import JsonObject
from storage.overview_records import TroubleRecord


@dataclass(frozen=True)
class Message:
    """Troubles that began and that are over, told together.

    `node`: its AE title, on the machine `host`. `lasting`: so many others last, which were told
    before.
    """

    node: str
    host: str
    version: str
    at: datetime
    began: tuple[TroubleRecord, ...]
    over: tuple[TroubleRecord, ...]
    lasting: int = 0

    @property
    def subject(self) -> str:
        """On one line: the first trouble, or how many."""
        told = (*self.began, *self.over)
        if len(told) == 1:
            return f"[{self._heading()}] {self.node}: {line(told[0].text)}"[:200]
        parts = [
            how_many(len(self.began), "trouble") + " began" if self.began else "",
            how_many(len(self.over), "trouble") + " over" if self.over else "",
        ]
        return f"[{self._heading()}] {self.node}: {', '.join(filter(None, parts))}"

    def _heading(self) -> str:
        heaviest = min((each.severity for each in self.began), default="over")  # error < warning
        return f"dicomnode {heaviest}"

    @property
    def text(self) -> str:
        lines = [f"{self.node} on {self.host}, {moment(self.at)} {self.at:%Z}".rstrip()]
        for each in self.began:
            what, remedy = line(each.text), line(each.remedy)
            lines += ["", f"{each.severity.upper()}  {what}", f"  what to do: {remedy}"]
        for each in self.over:
            lasted = duration((each.over_at or self.at) - each.since)
            lines += ["", f"OVER  after {lasted}: {line(each.text)}"]
        if self.lasting:
            lines += ["", f"{how_many(self.lasting, 'other trouble')} told before still lasting."]
        return "\n".join([*lines, "", "dicomnode status tells all of it.", ""])

    def as_json(self) -> JsonObject:
        """`began` and `over` are lists of one object for each trouble; times are in UTC."""
        return {
            "product": "dicomnode",
            "version": self.version,
            "node": self.node,
            "host": self.host,
            "at": self.at.isoformat(),
            "subject": self.subject,
            "began": _listed(self.began),
            "over": _listed(self.over),
            "lasting": self.lasting,
        }


def _listed(records: Sequence[TroubleRecord]) -> list[JsonObject]:
    return [
        {
            "name": each.name,
            "severity": each.severity,
            "text": each.text,
            "remedy": each.remedy,
            "since": each.since.isoformat(),
            "over_at": each.over_at and each.over_at.isoformat(),
        }
        for each in records
    ]
