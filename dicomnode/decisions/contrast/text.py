"""Was contrast given? What the descriptions of series, protocol, procedure and study say.

Evidence quotes the term of our table and the attribute's name, never the text: people write names
into descriptions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from dicomnode.decisions.contrast.contrast import Contrast, ContrastWitness, agent_says
from dicomnode.decisions.contrast.history_terms import HISTORY
from dicomnode.decisions.contrast.meaning import Meaning
from dicomnode.decisions.contrast.terms import LANGUAGES
from dicomnode.decisions.contrast.virtual_terms import VIRTUAL_LANGUAGES
from dicomnode.decisions.instance_header import InstanceHeader
from dicomnode.decisions.term_table import TermTable, normal

_REASONS = {
    "reason_for_the_requested_procedure": "Reason for the Requested Procedure",
    "reason_for_requested_procedure_code_sequence": "Reason for Requested Procedure Code",
    "reason_for_performed_procedure_code_sequence": "Reason For Performed Procedure Code",
    "reason_for_study": "Reason for Study",
    "reason_for_the_imaging_service_request": "Reason for the Imaging Service Request",
    "reason_for_visit": "Reason for Visit",
    "reason_for_visit_code_sequence": "Reason for Visit Code",
}

LEVELS: tuple[Mapping[str, str], ...] = (
    {
        "series_description": "Series Description",
        "series_description_code_sequence": "Series Description Code",
        "image_comments": "Image Comments",
        "frame_comments": "Frame Comments",
    },
    {
        "protocol_name": "Protocol Name",
        "performed_procedure_step_description": "Performed Procedure Step Description",
        "performed_protocol_code_sequence": "Performed Protocol Code",
        "acquisition_protocol_name": "Acquisition Protocol Name",
        "acquisition_protocol_description": "Acquisition Protocol Description",
    },
    {
        "requested_procedure_description": "Requested Procedure Description",
        "study_description": "Study Description",
        "scheduled_procedure_step_description": "Scheduled Procedure Step Description",
        "scheduled_protocol_code_sequence": "Scheduled Protocol Code",
        "procedure_code_sequence": "Procedure Code",
        "requested_procedure_code_sequence": "Requested Procedure Code",
        "requested_contrast_agent": "Requested Contrast Agent",
    },
    _REASONS,
)
"""From the series itself to what was ordered, and why. The first level that says anything decides:
the plain series of a study with contrast is plain."""

_AGENTS = frozenset({"requested_contrast_agent"})
"""Where an agent is named, not described: any name is one."""

_MEDIA = (
    *("contrast", "kontrast", "контраст", "σκιαγραφ", "injec", "inj", "km", "mdc", "cte", "civ"),
    *("iv ", " iv", "dye", "c+", "+c", "varjoain", "造影", "增强", "增強", "増強", "조영", "平扫"),
)
"""Parts of the terms that name the medium. A reason is about an illness: "sans fièvre" and "known
pulmonary embolism" tell nothing of this scan."""

_WITH = frozenset(
    {
        *("with", "w", "w/", "mit", "m", "avec", "con", "com", "c/", "met", "med", "m/", "z", "s"),
        *("с", "με"),
    }
)
"""First words of the terms that ask for the medium. "Contrast" alone, in a reason, is one that is
contraindicated or was seen in another scan."""

Term = tuple[str, Meaning]


@dataclass(frozen=True)
class Found:
    """A term of the table, the attribute in which it was found, and what it means."""

    attribute: str
    term: str
    meaning: Meaning


@lru_cache(maxsize=1024)
def read_terms(text: str) -> tuple[Term, ...]:
    """The terms in a text, each once, in their order; at each place the longest one."""
    found = dict.fromkeys(_terms().read(text))
    return tuple(pair for pair in found if pair[1] is not Meaning.NOTHING)


def text_witness(headers: Sequence[InstanceHeader]) -> ContrastWitness:
    """The most specific level that says anything; `unknown` where it says both.

    Levels that are less specific and say something else are told as well.
    """
    texts = _texts(headers)
    levels = [list(_found(texts, level)) for level in LEVELS]
    telling = [level for level in levels if level]
    if not telling:
        return ContrastWitness(Contrast.UNKNOWN, "no description tells")
    verdicts = [_verdict(level) for level in telling]
    evidence = _told(telling[0])
    if verdicts[0] is Contrast.UNKNOWN:
        return ContrastWitness(Contrast.UNKNOWN, f"{evidence}: series of either kind")
    against = [
        found
        for level, verdict in zip(telling[1:], verdicts[1:], strict=True)
        if verdict not in {verdicts[0], Contrast.UNKNOWN}
        for found in level
    ]
    return ContrastWitness(verdicts[0], evidence + (f", against {_told(against)}" * bool(against)))


def _texts(headers: Sequence[InstanceHeader]) -> dict[str, list[str]]:
    """The different texts of each attribute, in the fields of the header and in `descriptions`."""
    fields = (field for level in LEVELS for field in level)
    found = {field: {getattr(header, field, "") for header in headers} for field in fields}
    for name, text in {pair for header in headers for pair in header.descriptions}:
        found.setdefault(name, set()).add(text)
    return {field: sorted(texts) for field, texts in found.items()}


def _found(texts: Mapping[str, Sequence[str]], level: Mapping[str, str]) -> Iterator[Found]:
    for field, attribute in level.items():
        read = _agent_terms if field in _AGENTS else read_terms
        pairs = dict.fromkeys(pair for text in texts[field] for pair in read(text))
        for term, meaning in pairs:
            said = _of_contrast(meaning)
            if said and (level is not _REASONS or _tells_of_scan(term, said)):
                yield Found(attribute, term, said)


def _of_contrast(meaning: Meaning) -> Meaning | None:
    """What a term says of contrast: the image from which it was removed was taken with it."""
    if meaning is Meaning.MADE_OF_CONTRAST:
        return Meaning.GIVEN
    return None if meaning in {Meaning.MAP, Meaning.MONOENERGETIC} else meaning


def _agent_terms(text: str) -> tuple[Term, ...]:
    said = agent_says(text)
    if said is Contrast.UNKNOWN:
        return ()
    return (("an agent", Meaning.GIVEN) if said is Contrast.YES else ("none", Meaning.NOT_GIVEN),)


def _tells_of_scan(term: str, said: Meaning) -> bool:
    """Whether a term of a reason tells how to scan: it names the medium, and asks for it."""
    written = f" {normal(term)} "
    asks = said is not Meaning.GIVEN or written.split(maxsplit=1)[0] in _WITH
    return asks and any(normal(part) in written for part in _MEDIA)


def _verdict(level: Sequence[Found]) -> Contrast:
    meanings = {found.meaning for found in level}
    if meanings == {Meaning.GIVEN}:
        return Contrast.YES
    return Contrast.NO if meanings == {Meaning.NOT_GIVEN} else Contrast.UNKNOWN


def _told(found: Sequence[Found]) -> str:
    """`Protocol Name says 'pe', 'injection'`: of each attribute at most three terms."""
    by_attribute: dict[str, list[str]] = {}
    for each in found:
        by_attribute.setdefault(each.attribute, []).append(repr(each.term))
    return "; ".join(f"{name} says {', '.join(terms[:3])}" for name, terms in by_attribute.items())


@cache
def _terms() -> TermTable[Meaning]:
    tables = (*LANGUAGES.values(), *VIRTUAL_LANGUAGES.values())
    history = {term: Meaning.NOTHING for terms in HISTORY.values() for term in terms}
    return TermTable(
        {term: meaning for table in tables for meaning, terms in table.items() for term in terms}
        | history
    )
