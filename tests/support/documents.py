"""Finding one's way in a document of blocks."""

from __future__ import annotations

from inference.evaluation.report.document import Document, Heading, Table


def tables_below(document: Document, heading: str) -> list[Table]:
    """The tables between the heading that begins so and the next one."""
    blocks = list(document.blocks)
    at = next(
        i
        for i, each in enumerate(blocks)
        if isinstance(each, Heading) and each.text.startswith(heading)
    )
    found = []
    for each in blocks[at + 1 :]:
        if isinstance(each, Heading):
            break
        if isinstance(each, Table):
            found.append(each)
    return found
