"""The note that a study, or one series of it, was not analysed, and why.

Silence can be read as a negative finding. The note is there twice: as text (for viewers that show
reports, and for programs) and as a page of pixels (for all others).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pydicom.uid import UID, SecondaryCaptureImageStorage

from dicomnode.decisions.reasons import Reason, Verdict
from dicomnode.decisions.wording import how_many, in_words
from dicomnode.results.common.context import Predecessor, ResultObject
from dicomnode.results.common.modules import Place
from dicomnode.results.common.naming import named
from dicomnode.results.common.summary import RESEARCH_ONLY
from dicomnode.results.documents.page import text_page
from dicomnode.results.documents.text_document import (
    FAILED,
    NOT_ATTEMPTED,
    TextOrigin,
    text_document,
    text_sop_class,
)

KIND = "note"
_NO_TIME = datetime(2000, 1, 1, tzinfo=UTC)
_HEADLINE = "NOT ANALYSED BY AI"
_NO_FINDING = "Nothing is known about findings: this is no negative result."


@dataclass(frozen=True)
class SeriesNotAnalysed:
    """One CT series. `failed`: it was eligible, but its analysis came to nothing.

    `number` and `description` are those of its header, "" where it has none; `reasons`: of the
    decision, the passed ones among them.
    """

    series_instance_uid: str
    number: str
    description: str
    instance_count: int
    failed: bool
    input_digest: str
    reasons: tuple[Reason, ...]

    @property
    def failures(self) -> tuple[Reason, ...]:
        return tuple(each for each in self.reasons if each.verdict is Verdict.FAIL)


def note_objects(
    origin: TextOrigin,
    series: Sequence[SeriesNotAnalysed],
    *,
    whole_study: bool,
    series_number: int,
    predecessor: Predecessor | None = None,
) -> tuple[ResultObject, ...]:
    """The text, then the page; the same input gives the same UIDs.

    Both speak of the time, which makes no other UID. A page that takes the place of another has
    one of its own even where it says the same: the one before it may have been withdrawn.

    Raises:
        ValueError: there is no series to tell of.
    """
    if not series:
        raise ValueError("a note is about at least one series")
    in_order = sorted(series, key=_as_listed)
    timeless = replace(origin, analysed_at=_NO_TIME)
    salt = [each.input_digest for each in in_order]
    if predecessor is not None:
        salt.append(predecessor.sop_instance_uid)
    made, contents = (
        _objects(each, in_order, whole_study, series_number, predecessor)
        for each in (origin, timeless)
    )
    pairs = zip(made, contents, strict=True)
    return tuple(named([one], *salt, contents=[content])[0] for one, content in pairs)


def _objects(
    origin: TextOrigin,
    series: Sequence[SeriesNotAnalysed],
    whole_study: bool,
    series_number: int,
    predecessor: Predecessor | None,
) -> tuple[ResultObject, ResultObject]:
    lines = note_lines(origin, series, whole_study)
    outcomes = {FAILED if each.failed else NOT_ATTEMPTED for each in series}
    in_order = sorted(outcomes, key=lambda code: code.value)
    text_place = _place(UID(text_sop_class()), "SR", series_number)
    page_place = _place(SecondaryCaptureImageStorage, "OT", series_number + 1)
    text = text_document(text_place, origin, lines, in_order, predecessor)
    page = text_page(page_place, origin, _HEADLINE, lines)
    return ResultObject(KIND, text), ResultObject(KIND, page)


def _as_listed(series: SeriesNotAnalysed) -> tuple[int, str, str, str]:
    """By Series Number, as in the list of a viewer; in whichever order they were told."""
    number = series.number
    return len(number), number, series.series_instance_uid, series.input_digest


def note_lines(
    origin: TextOrigin, series: Sequence[SeriesNotAnalysed], whole_study: bool
) -> list[str]:
    """The note in words, the answer first; the rules of each series with value and limit."""
    settings = origin.settings
    what = "No CT series of this study was analysed." if whole_study else "Series not analysed."
    lines = [f"{what} {_NO_FINDING}", f"{RESEARCH_ONLY}."]
    for each in series:
        lines.append(_headline(each))
        lines += [f"- {in_words(reason)}" for reason in each.failures]
    moment = origin.analysed_at.strftime("%Y-%m-%d %H:%M UTC")
    return [*lines, f"{settings.product_name} {settings.software_version}, decided {moment}."]


def _headline(series: SeriesNotAnalysed) -> str:
    number = f"Series {series.number}" if series.number else "Series without number"
    described = f" “{series.description}”" if series.description else ""
    outcome = "analysis failed" if series.failed else "skipped"
    return f"{number}{described}, {how_many(series.instance_count, 'instance')}: {outcome}"


def _place(sop_class: UID, modality: str, series_number: int) -> Place:
    return Place(
        sop_class_uid=sop_class,
        series_number=series_number,
        instance_number=1,
        modality=modality,
        series_description="Not analysed by AI, research only",
    )
