"""Presentation contexts as rows of tables, and the names of UIDs (PS3.6 annex A)."""

from __future__ import annotations

from collections.abc import Iterable

from pydicom.uid import UID
from pynetdicom.presentation import PresentationContext

from dicomnode.results.common.uids import LabelMapSegmentationStorage
from inference.evaluation.report.document import Heading, Table

_NEWER = {str(LabelMapSegmentationStorage): "Label Map Segmentation Storage"}
"""Than pydicom's dictionary."""

CONTEXT_COLUMNS = (
    "Abstract syntax",
    "UID",
    "Transfer syntax",
    "UID of it",
    "Role",
    "Extended negotiation",
)


def name_of(uid: str) -> str:
    """As the standard has it; the UID itself where it is in no dictionary."""
    return _NEWER.get(uid, UID(uid).name)


def contexts_table(contexts: Iterable[PresentationContext], role: str) -> Table:
    """A row for each presentation context that is proposed, in their order."""
    rows = []
    for context in contexts:
        syntaxes = [str(each) for each in context.transfer_syntax or ()]
        named, uids = "; ".join(map(name_of, syntaxes)), "; ".join(syntaxes)
        abstract = str(context.abstract_syntax)
        rows.append((name_of(abstract), abstract, named, uids, role, "None"))
    return Table(CONTEXT_COLUMNS, tuple(rows))


def heading(text: str) -> Heading:
    """Its number, at the beginning, tells how deep it lies."""
    return Heading(text, min(2 + text.partition(" ")[0].count("."), 6))
