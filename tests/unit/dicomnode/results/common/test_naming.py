"""One UID, one content: what changes an object changes its UID, and nothing else does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np
import pydicom
import pytest

from dicomnode.analyse.analysis import conditions
from dicomnode.config.settings import Settings
from dicomnode.decisions.rejection import RejectionReason
from dicomnode.decisions.result_options import ResultOptions
from dicomnode.deliver.result_settings import analysis_digest, result_settings
from dicomnode.results.build import ResultContext, ResultObject, build_results, encode
from dicomnode.results.common.naming import content_digest
from dicomnode.results.common.patient import normalised_header
from dicomnode.results.documents.note import SeriesNotAnalysed, note_objects
from dicomnode.results.documents.retraction import Rejected, rejection_note
from dicomnode.results.documents.text_document import TextOrigin
from support.region_samples import COVID, FLU, region, regions
from support.result_kinds import FAILED, FORMER, THICK
from support.result_samples import MODEL, context, findings, source

MOMENT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECOND = replace(FAILED["regions"], rule="memory", value="out of memory")

DEFAULT: dict[str, Any] = {"all_slices": "jpeg"}
FLIPPED: Mapping[str, Any] = {
    "key_slices": 4,
    "sr_class": "comprehensive",
    "sr_series_number": 801,
    "sc_series_number": 802,
    "segmentation": "labelmap",
    "seg_series_number": 803,
    "region_seg_series_number": 807,
    "note": "all",
    "note_series_number": 804,
    "rejection_series_number": 806,
    "all_slices": "uncompressed",
    "multi_frame": True,
    "all_slices_series_number": 808,
    "institution_name": "The site",
}
CHANGES: Mapping[str, set[str]] = {  # kinds of objects that another value of the key changes
    "key_slices": {"sr", "montage", "key_slice"},
    "sr_class": {"sr"},
    "sr_series_number": {"sr"},
    "sc_series_number": {"montage", "key_slice"},
    "segmentation": {"sr", "seg", "region_seg"},  # the report refers to the segmentation
    "seg_series_number": {"seg"},
    "region_seg_series_number": {"sr", "region_seg"},
    "note": set(),
    "note_series_number": {"note"},
    "rejection_series_number": {"retraction"},
    "all_slices": {"slice"},
    "multi_frame": {"slices"},  # in the place of the single ones
    "all_slices_series_number": {"slice"},
    "institution_name": set(),  # the CT names its own
}


def settings(ae_title: str = "DICOMNODE", **results: Any) -> Settings:
    made = Settings.model_validate({"results": DEFAULT | results, "node": {"ae_title": ae_title}})
    assert isinstance(made.results, ResultOptions)
    return made


def analysed(of: Settings, **changes: Any) -> ResultContext:
    found = regions(region(COVID, 0.75), region(FLU, 0.6))
    of_site: dict[str, Any] = {"conditions": conditions(of), "settings": result_settings(of)}
    return context(regions=found, **(of_site | changes))


def everything(of: Settings, **changes: Any) -> tuple[ResultObject, ...]:
    """All objects that a site with these settings makes of one input."""
    origin = TextOrigin(normalised_header([source(0)]), MOMENT, result_settings(of))
    skipped = SeriesNotAnalysed("1.2.3", "3", "Thorax 5.0", 60, False, "d", (THICK,))
    number = of.results.note_series_number
    rejected = [Rejected("2.25.8", "1.2.840.10008.5.1.4.1.1.88.34", "2.25.9")]
    withdrawn = of.results.rejection_series_number
    return (
        *build_results(analysed(of, **changes)),
        *note_objects(origin, [skipped], whole_study=True, series_number=number),
        rejection_note(origin, rejected, RejectionReason.SAFETY, withdrawn),
    )


@cache
def usual() -> tuple[ResultObject, ...]:
    return everything(settings())


@cache
def usual_by_uid() -> dict[str, bytes]:
    return by_uid(usual())


def by_uid(objects: tuple[ResultObject, ...]) -> dict[str, bytes]:
    return {str(each.sop_instance_uid): encode(each) for each in objects}


def changed_kinds(others: tuple[ResultObject, ...]) -> set[str]:
    """Kinds with an object that is not the same in both; the same UID must be the same bytes."""
    before, after = usual_by_uid(), by_uid(others)
    for uid in before.keys() & after.keys():
        assert before[uid] == after[uid]
    assert len(after) == len(others)
    return {each.kind for each in others if str(each.sop_instance_uid) not in before}


def test_every_key_of_results_is_flipped() -> None:
    assert set(FLIPPED) == set(CHANGES) == {each.name for each in fields(ResultOptions)}
    assert all(getattr(settings().results, key) != value for key, value in FLIPPED.items())


@pytest.mark.parametrize("key", FLIPPED)
def test_a_key_of_results_changes_the_uids_of_what_it_changes_alone(key: str) -> None:
    assert changed_kinds(everything(settings(**{key: FLIPPED[key]}))) == CHANGES[key]


def test_what_all_objects_bear_changes_all_of_them() -> None:
    assert changed_kinds(everything(settings(ae_title="OTHER"))) == {each.kind for each in usual()}


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({"notes": ("Something else",)}, {"sr"}),
        ({"predecessor": FORMER}, {"sr"}),
        ({"input_digest": "cd" * 32}, {"sr", "region_seg"}),  # what is tracked is another finding
        ({"failures": (SECOND,)}, {"sr", "montage", "key_slice", "slice"}),  # a line on each
        ({"revision": 1}, {"sr", "montage", "key_slice", "seg", "region_seg", "slice"}),
    ],
    ids=["notes", "predecessor", "input", "failure", "revision"],
)
def test_what_shows_in_an_object_changes_its_uid(changes: dict[str, Any], kinds: set[str]) -> None:
    assert changed_kinds(everything(settings(), **changes)) == kinds


def test_last_digits_of_another_engine_never_share_a_uid_with_other_bytes() -> None:
    """They may round to the same pixels and percentages: then it is the same object."""
    found = findings()
    for digits, differs in ((1e-9, False), (1e-3, True)):
        first, second, third = found.answer.scores
        scores = (first + digits, second - digits, third)
        other = replace(found, answer=replace(found.answer, scores=scores))
        assert bool(changed_kinds(everything(settings(), findings=other))) is differs


def test_a_failed_method_and_its_later_success_share_no_report() -> None:
    whole, half = (
        build_results(context(failures=failures))[0].sop_instance_uid
        for failures in ((), (SECOND,))
    )
    assert whole != half


def test_another_patient_under_the_same_uids_shares_nothing() -> None:
    sources = [source(i) for i in range(len(context().sources))]
    for each in sources:
        each.PatientID = "P-2"
    others = build_results(context(sources=sources))
    assert not by_uid(others).keys() & by_uid(build_results(context())).keys()


def test_the_time_of_analysis_alone_is_no_content() -> None:
    later = build_results(context(analysed_at=datetime(2027, 1, 1, tzinfo=UTC)))
    first = build_results(context())
    assert [each.sop_instance_uid for each in later] == [each.sop_instance_uid for each in first]
    assert [content_digest(each.data_set) for each in later] == [
        content_digest(each.data_set) for each in first
    ]
    assert encode(later[0]) != encode(first[0])


def test_how_it_was_known_that_all_had_come_makes_no_other_name() -> None:
    """It tells of seconds, and of what came first: an analysis that is made again would have
    another report, of the same by the same."""
    first, other = (
        build_results(context(completeness=told))[0]
        for told in ("released 5.1 s ago", "the PACS has as many")
    )
    assert first.sop_instance_uid == other.sop_instance_uid
    assert encode(first) != encode(other)


def test_nor_is_it_for_a_scanner_without_a_name() -> None:
    sources = [source(i) for i in range(len(context().sources))]
    for each in sources:
        del each.Manufacturer
    first, second = (build_results(context(sources=sources))[0] for _ in range(2))
    assert encode(first) == encode(second)


def test_content_read_back_from_a_file_is_the_same_content() -> None:
    for each in usual():
        read = pydicom.dcmread(BytesIO(encode(each)))
        assert content_digest(read) == content_digest(each.data_set), each.kind


def test_objects_of_one_series_are_one_series() -> None:
    pictures = [each for each in usual() if each.kind in ("montage", "key_slice")]
    series = {str(each.data_set.SeriesInstanceUID) for each in pictures}
    assert len(series) == 1
    for each in usual():
        meta = each.data_set.file_meta
        assert meta.MediaStorageSOPInstanceUID == each.sop_instance_uid
        assert each.data_set.SOPInstanceUID != "2.25.0"
        assert each.data_set.SeriesInstanceUID != "2.25.0"


def test_a_pixel_of_one_slice_changes_what_shows_it_and_its_series() -> None:
    """All pictures of a series bear its UID, so they change together."""
    whole = context()
    hu = whole.volume.hu.copy()
    hu[7, 5, 5] += np.int16(300)
    other = replace(whole, volume=replace(whole.volume, hu=hu))
    same = by_uid(build_results(whole)).keys() & by_uid(build_results(other)).keys()
    kinds = {each.kind for each in build_results(other) if str(each.sop_instance_uid) in same}
    assert kinds == {"sr", "seg"}


@pytest.mark.parametrize("key", FLIPPED)
def test_what_was_analysed_with_other_settings_can_be_renewed(key: str) -> None:
    """Not with a key that shows in notes and withdrawals alone: the same would be made again."""
    other = analysis_digest(settings(**{key: FLIPPED[key]})) != analysis_digest(settings())
    assert other is (key not in {"note", "note_series_number", "rejection_series_number"})


def test_the_weights_change_what_names_them() -> None:
    model = replace(MODEL, weights_sha256="cd" * 32)
    changed = changed_kinds(everything(settings(), findings=findings(model)))
    assert "sr" in changed
    assert not changed & {"note", "retraction"}


def test_what_was_analysed_in_another_precision_than_is_asked_for_can_be_renewed() -> None:
    def digest(**given: str) -> str:
        return analysis_digest(Settings.model_validate({"inference": given}))

    assert digest(precision="f32") != digest(precision="auto") == digest()
