"""Presentation contexts as rows of tables, in the order in which they are proposed."""

from __future__ import annotations

from collections.abc import Iterable

from pynetdicom.presentation import PresentationContext

from dicomnode.results.common.uids import uid_name
from inference.evaluation.report.document import Heading, Table

CONTEXT_COLUMNS = (
    "Abstract syntax",
    "UID",
    "Transfer syntax",
    "UID of it",
    "Role",
    "Extended negotiation",
)


def contexts_table(contexts: Iterable[PresentationContext], role: str) -> Table:
    """A row for each presentation context that is proposed, in their order."""
    rows = []
    for context in contexts:
        syntaxes = [str(each) for each in context.transfer_syntax or ()]
        named, uids = "; ".join(map(uid_name, syntaxes)), "; ".join(syntaxes)
        abstract = str(context.abstract_syntax)
        rows.append((uid_name(abstract), abstract, named, uids, role, "None"))
    return Table(CONTEXT_COLUMNS, tuple(rows))


def heading(text: str) -> Heading:
    """Its number, at the beginning, tells how deep it lies."""
    return Heading(text, min(2 + text.partition(" ")[0].count("."), 6))
