"""The report of an evaluation: what was evaluated, then the figures, then what must be known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inference.bundles.card import Card
from inference.evaluation.measures.confusion import ConfusionMatrix
from inference.evaluation.report.classes import counted_blocks
from inference.evaluation.report.document import Block, Document, Heading, Notice, Paragraph, Table
from inference.findings import Training

_SIMULATED = (
    "SIMULATED LESIONS – these scans were painted by the simulator. The figures tell how well it "
    "is recognised, and nothing of patients."
)
_METHODS = (
    "Intervals are at the level of 95 %. Proportions: Wilson's score interval, which reproduces "
    "those of Li et al. 2020, table 3. AUC: DeLong, DeLong and Clarke-Pearson 1988. Each class "
    "stands against all others. Scans that failed count in no figure."
)


@dataclass(frozen=True)
class Evaluated:
    """What a report says at its head. `facts`: pairs of what and how; `failed`: scan and reason."""

    card: Card
    simulated: bool
    facts: tuple[tuple[str, str], ...]
    failed: tuple[tuple[str, str], ...]


def report(about: Evaluated, sections: Sequence[tuple[str, Sequence[Block]]]) -> Document:
    """`sections`: heading and blocks of each."""
    blocks: list[Block] = [*_head(about)]
    for heading, some in sections:
        blocks += [Heading(heading), *some]
    if about.failed:
        blocks += [Heading("Scans that failed"), Table(("Scan", "Reason"), about.failed)]
    blocks += [Heading("Methods"), Paragraph(_METHODS)]
    card = about.card
    return Document(f"Evaluation of {card.name} {card.version} ({card.task})", tuple(blocks))


def _head(about: Evaluated) -> list[Block]:
    warning = about.card.identity_at(about.card.use).warning
    blocks: list[Block] = [Notice(warning)] if warning else []
    if about.simulated:
        blocks.append(Notice(_SIMULATED))
    elif about.card.training is not Training.PATIENTS:
        blocks.append(Notice("No figure of this report has a clinical meaning."))
    if about.failed:
        blocks.append(Notice(f"{len(about.failed)} scan(s) failed and count in no figure."))
    return [*blocks, Table(("", ""), about.facts)]


def counts_report(matrix: ConfusionMatrix, name: str) -> Document:
    """From counts alone; `name`: of the table that they come from."""
    paragraph = Paragraph(
        f"From the counts of {name} alone: there is no AUC and no interval over patients."
    )
    blocks: list[Block] = [
        paragraph,
        *counted_blocks(matrix),
        Heading("Methods"),
        Paragraph(_METHODS),
    ]
    return Document(f"Evaluation of {matrix.cases} cases", tuple(blocks))
