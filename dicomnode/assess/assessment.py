"""What the files of one series say: their headers, and the decision on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from pydicom.dataset import Dataset

from dicomnode.config.settings import Settings
from dicomnode.decisions.analysis_needs import estimated_memory
from dicomnode.decisions.arrival.arrival_evidence import HeaderEvidence, evidence_of_headers
from dicomnode.decisions.eligibility.eligibility import (
    Eligibility,
    EligibilityPolicy,
    judge_eligibility,
)
from dicomnode.decisions.instance_header import InstanceHeader, SliceKey
from dicomnode.decisions.reasons import Reason, Verdict, failed_rules
from dicomnode.decisions.stack.overlaps import NOT_COMPARED, Pair
from dicomnode.dicom_files.headers import read_headers_and_sources
from dicomnode.dicom_files.identity import data_set_sha256, identify_file
from dicomnode.dicom_files.read_again import may_pass, why_unread
from dicomnode.dicom_files.same_slices import (
    differences_of_overlaps,
    with_digests_of_possible_copies,
)
from dicomnode.errors import DataError
from dicomnode.results.common.sources import as_source
from dicomnode.results.common.uids import instances_digest
from storage.decided import OWN_RESULT
from storage.records import Conflict, Needs, StoredInstance

Slices = tuple[tuple[InstanceHeader, Dataset], ...]
"""The header of each slice in a file, and of that what results are made of."""


@dataclass(frozen=True)
class Assessment:
    """The decision on a series with the file of each header that could be read."""

    eligibility: Eligibility
    files: dict[str, Path]  # by SOP Instance UID
    sources: dict[SliceKey, Dataset]  # what results are made of, of the header of each slice
    unreadable: tuple[Reason, ...] = ()
    headers: tuple[InstanceHeader, ...] = ()
    arrival: tuple[Reason, ...] = ()  # that instances are missing, or came again: no header tells
    may_pass: bool = False  # whether a file could not be read for a reason that may be over soon

    @property
    def reasons(self) -> tuple[Reason, ...]:
        own = failed_rules(self.eligibility.reasons) == [OWN_RESULT]
        others = () if own else self.arrival + self.unreadable
        return others + self.eligibility.reasons

    @property
    def eligible(self) -> bool:
        complete = all(reason.verdict is not Verdict.FAIL for reason in self.arrival)
        return self.eligibility.eligible and complete and not self.unreadable


def read_slices_of(file: Path) -> Slices:
    """
    Raises:
        as `read_header_file`.
    """
    return tuple((header, as_source(source)) for header, source in read_headers_and_sources(file))


def assess_files(
    files: Iterable[Path],
    policy: EligibilityPolicy,
    read: Callable[[Path], Slices] = read_slices_of,
) -> Assessment:
    """Read the headers of one series and decide; a file that cannot be read is a reason."""
    headers: list[InstanceHeader] = []
    sources: dict[SliceKey, Dataset] = {}
    by_uid: dict[str, Path] = {}
    unreadable: list[Reason] = []
    passing = False
    for file in files:
        try:
            found = read(file)
        except DataError as error:
            text = f"{file.name}: {error.value}"
            unreadable.append(Reason(error.rule, text, error.limit, Verdict.FAIL))
            continue
        except OSError as error:
            unreadable.append(why_unread(error, file.name))
            passing |= may_pass(error)
            continue
        headers += [header for header, _ in found]
        sources |= {header.slice_key: source for header, source in found}
        by_uid[headers[-1].sop_instance_uid] = file
    differences: Mapping[Pair, float] = NOT_COMPARED
    try:
        headers = with_digests_of_possible_copies(headers, by_uid)
        differences = differences_of_overlaps(headers, by_uid)
    except OSError as error:
        unreadable.append(why_unread(error, Path(str(error.filename or "")).name))
        passing |= may_pass(error)
    eligibility = judge_eligibility(headers, policy, differences)
    return Assessment(
        eligibility, by_uid, sources, tuple(unreadable), tuple(headers), may_pass=passing
    )


def needs_of(assessment: Assessment, settings: Settings) -> Needs:
    """What the analysis of a series asks of a worker."""
    memory = estimated_memory(assessment.eligibility.stack.headers)
    return Needs(settings.inference.needs, memory)


def input_digest(instances: Sequence[StoredInstance | Conflict]) -> str:
    """Names exactly what was decided upon: the instances and their content."""
    return instances_digest((each.sop_instance_uid, each.sha256) for each in instances)


def files_digest(files: Iterable[Path]) -> str:
    """As `input_digest`, of the content that the files of the instances have now.

    Raises:
        DataError: one is no DICOM file that can be read.
        OSError
    """
    return instances_digest(
        (identify_file(file)[0].sop_instance_uid, data_set_sha256(file)) for file in files
    )


@dataclass(frozen=True)
class Look:
    """What the headers of a series said after so many arrivals (`revision`)."""

    instances: tuple[StoredInstance, ...]
    assessment: Assessment
    revision: int

    @cached_property
    def evidence(self) -> HeaderEvidence:
        """A file that cannot be read explains a gap: its slice is here, though damaged."""
        seen = self.assessment
        found = evidence_of_headers(seen.headers, seen.eligibility.stack)
        return replace(found, missing=None) if seen.unreadable else found
