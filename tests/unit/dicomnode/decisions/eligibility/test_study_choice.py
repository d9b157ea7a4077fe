"""Of several eligible series of a study one is analysed, whatever the order in which they came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.decisions.eligibility.study_choice import (
    CONTRAST_OF_ACQUISITION,
    KernelClass,
    Standing,
    StudyPolicy,
    StudySeries,
    acquisitions_of,
    choose,
    kernel_class,
    quality_order,
)
from dicomnode.decisions.reasons import Verdict
from storage.decided import SeriesQuality
from support.ct_headers import ct_header

NOW = datetime(2026, 11, 21, tzinfo=UTC)
POLICY = StudyPolicy(wait_seconds=60)
THIN = SeriesQuality(1.0, 300.0, "B30f", 300)
QUALITIES = st.builds(
    SeriesQuality,
    st.sampled_from([0.6, 0.7, 1.0, 1.25, 2.5, 3.0]),
    st.floats(50, 500),
    st.sampled_from(["", "LUNG", "B30f", "FC51"]),
    st.integers(20, 600),
)


def series(uid: str, quality: SeriesQuality | None, standing: Standing) -> StudySeries:
    return StudySeries(uid, standing, quality)


@pytest.mark.parametrize(
    ("kernel", "found"),
    [
        *[(name, KernelClass.SHARP) for name in ("LUNG", "bone", "B70f", "I70f\\3", "Br64d\\3")],
        *[(name, KernelClass.SHARP) for name in ("FC51", "FC86", "YC", "BONEPLUS", "D")],
        *[(name, KernelClass.STANDARD) for name in ("STANDARD", "B30f", "Br40d\\3", "FC08", "B")],
        *[(name, KernelClass.STANDARD) for name in ("I31f\\2", "FC18", "SOFT", "C")],
        *[(name, KernelClass.SMOOTH) for name in ("B10f", "I10f\\1")],
        ("", KernelClass.UNKNOWN),
        ("Kernel 7", KernelClass.UNKNOWN),
    ],
)
def test_kernels_of_the_vendors_are_known(kernel: str, found: KernelClass) -> None:
    assert kernel_class(kernel) is found


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (replace(THIN, slice_spacing_mm=3.0), replace(THIN, coverage_mm=40.0)),  # coverage first
        (replace(THIN, slice_spacing_mm=0.7), replace(THIN, kernel="STANDARD", slice_count=900)),
        (replace(THIN, kernel="STANDARD"), replace(THIN, kernel="LUNG", coverage_mm=305.0)),
        (replace(THIN, slice_count=301), THIN),
    ],
)
def test_the_order_is_coverage_spacing_kernel_count(
    better: SeriesQuality, worse: SeriesQuality
) -> None:
    assert quality_order(better) < quality_order(worse)


def test_an_only_series_is_taken_without_a_word() -> None:
    out = [series("2", None, Standing.OUT)]
    for others in ([], out):
        choice = choose(series("1", THIN, Standing.ELIGIBLE), others, POLICY, NOW, NOW)
        assert choice.taken
        assert choice.reason is None


def test_it_waits_for_a_series_that_still_comes_but_not_for_ever() -> None:
    own, coming = series("1", THIN, Standing.ELIGIBLE), series("2", None, Standing.OPEN)
    waits = choose(own, [coming], POLICY, NOW, NOW + timedelta(seconds=59))
    assert waits.look_again_at == NOW + timedelta(seconds=60)
    assert not waits.taken
    assert choose(own, [coming], POLICY, NOW, NOW + timedelta(seconds=60)).taken


def test_the_lesser_says_which_one_was_chosen() -> None:
    best = series("9", replace(THIN, slice_spacing_mm=0.7), Standing.TAKEN)
    choice = choose(series("1", THIN, Standing.ELIGIBLE), [best], POLICY, NOW, NOW)
    assert not choice.taken
    assert choice.reason is not None
    assert choice.reason.verdict is Verdict.FAIL
    assert str(choice.reason.value) == (
        "a better series of the study was chosen: 9 "
        "(300 slices every 0.7 mm, 300 mm in all, kernel B30f)"
    )


def test_a_better_one_that_comes_late_is_analysed_and_says_so() -> None:
    own = series("1", replace(THIN, slice_spacing_mm=0.7), Standing.ELIGIBLE)
    choice = choose(own, [series("2", THIN, Standing.TAKEN)], POLICY, NOW, NOW)
    assert choice.taken
    assert choice.reason is not None
    assert choice.reason.verdict is Verdict.WARNING


def test_all_are_analysed_where_the_policy_says_so() -> None:
    policy = StudyPolicy(choose="all")
    others = [series("0", THIN, Standing.TAKEN), series("2", None, Standing.OPEN)]
    choice = choose(series("1", THIN, Standing.ELIGIBLE), others, policy, NOW, NOW)
    assert choice.taken
    assert choice.reason is not None
    assert choice.reason.verdict is Verdict.PASS


def order(each: StudySeries) -> tuple[object, str]:
    assert each.quality is not None
    return quality_order(each.quality), each.series_instance_uid


@given(st.lists(QUALITIES, min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_just_one_is_taken_in_any_order_of_looking(
    qualities: Sequence[SeriesQuality], rng: object
) -> None:
    study = {f"1.{n}": series(f"1.{n}", q, Standing.OPEN) for n, q in enumerate(qualities)}
    looks = [*study, *study, *study]
    rng.shuffle(looks)  # type: ignore[attr-defined]
    for uid in [*looks, *study, *study]:
        own = study[uid]
        if own.standing in {Standing.TAKEN, Standing.OUT}:
            continue
        own = replace(own, standing=Standing.ELIGIBLE)
        seen = [
            replace(each, quality=None) if each.standing is Standing.OPEN else each
            for each in study.values()
            if each is not study[uid]
        ]
        choice = choose(own, seen, POLICY, NOW, NOW)
        if choice.look_again_at is None:
            own = replace(own, standing=Standing.TAKEN if choice.taken else Standing.OUT)
        study[uid] = own
    taken = [each for each in study.values() if each.standing is Standing.TAKEN]
    best = min(study.values(), key=order)
    assert taken == [best]


def test_quality_survives_its_record() -> None:
    assert SeriesQuality.from_json(THIN.as_json()) == THIN
    with pytest.raises(ValueError, match="wait_seconds"):
        StudyPolicy(wait_seconds=-1)


def test_what_was_made_of_a_scan_with_contrast_gives_no_result() -> None:
    """A virtual or unnamed reconstruction of it, eligible by all that it says of itself."""
    scan = StudySeries("1.1", Standing.OUT, None, frozenset({"9.1 2", "9.2 3"}), True)
    own = series("1.2", THIN, Standing.ELIGIBLE)
    for acquisitions, taken in {
        ("9.1 2",): False,
        ("9.1 1",): True,
        ("9.3 2",): True,
        (): True,
    }.items():
        made = replace(own, acquisitions=frozenset(acquisitions))
        for policy in (POLICY, StudyPolicy(choose="all")):
            choice = choose(made, [scan], policy, NOW, NOW)
            assert choice.taken is taken, acquisitions
            if not taken:
                assert choice.reason is not None
                assert choice.reason.rule == CONTRAST_OF_ACQUISITION
                assert choice.reason.verdict is Verdict.FAIL
                assert "series 1.1 of the same acquisition" in str(choice.reason.value)
        # skipped for its thickness, say: no sign of contrast
        assert choose(made, [replace(scan, with_contrast=False)], POLICY, NOW, NOW).taken


def test_an_acquisition_is_an_event_with_its_number() -> None:
    headers = [
        ct_header(irradiation_event_uid="9.1\\9.2", acquisition_number=2),
        ct_header(irradiation_event_uid="9.3"),
        ct_header(acquisition_number=4),
    ]
    assert acquisitions_of(headers) == {"9.1 2", "9.2 2"}
