"""Results in the variants of several destinations: what is asked for elsewhere changes no UID."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from itertools import product

from dicomnode.decisions.result_options import SegmentationKind, SrClass, Variant
from dicomnode.results.build import ResultContext, ResultObject, build_results, encode
from support.region_samples import COVID, region, regions
from support.result_kinds import FORMER
from support.result_samples import context, options

VARIANTS = tuple(Variant(*each) for each in product(SrClass, SegmentationKind))


@cache
def sample() -> ResultContext:
    return context(regions=regions(region(COVID, 0.75)), settings=options(key_slices=1))


@cache
def alone(variant: Variant) -> dict[str, bytes]:
    return by_uid(build_results(sample(), {variant: None}))


def by_uid(made: Collection[ResultObject]) -> dict[str, bytes]:
    found = {str(each.sop_instance_uid): encode(each) for each in made}
    assert len(found) == len(made)
    return found


def of(variant: Variant, made: Collection[ResultObject]) -> list[ResultObject]:
    return [each for each in made if each.choices <= variant.choices]


def test_what_others_ask_for_changes_nothing_of_what_one_gets() -> None:
    """Of each class and each kind one at once, in both orders."""
    asked = VARIANTS[::4]
    made = build_results(sample(), dict.fromkeys(asked))
    for variant in asked:
        assert by_uid(of(variant, made)) == alone(variant)
    again = build_results(sample(), dict.fromkeys(reversed(asked)))
    assert [each.sop_instance_uid for each in again] == [each.sop_instance_uid for each in made]
    assert {each.choices for each in made if each.kind == "sr"} == {v.choices for v in asked}
    assert {each.sr_class for each in asked} == set(SrClass)
    assert {each.segmentation for each in asked} == set(SegmentationKind)


def test_pictures_are_the_same_in_every_variant() -> None:
    first, last = (alone(each) for each in (VARIANTS[0], VARIANTS[-1]))
    made = build_results(sample(), {VARIANTS[0]: None, VARIANTS[-1]: None})
    kinds = {each.kind for each in made if each.sop_instance_uid in set(first) & set(last)}
    assert kinds == {"montage", "key_slice"}
    assert [each.kind for each in made[:2]] == ["sr", "sr"]


def test_a_report_refers_to_the_segmentation_of_its_own_variant() -> None:
    asked = [Variant(SrClass.ENHANCED, kind) for kind in SegmentationKind]
    made = build_results(sample(), dict.fromkeys(asked))
    for variant in asked:
        own = of(variant, made)
        (report,) = [each for each in own if each.kind == "sr"]
        text = encode(report)
        for each in made:
            referred = str(each.sop_instance_uid).encode() in text
            assert referred == (each.kind == "region_seg" and each in own) or each is report


def test_without_a_region_one_report_is_for_all_of_its_class() -> None:
    asked = [Variant(SrClass.ENHANCED, kind) for kind in SegmentationKind]
    plain = context(settings=options(key_slices=1))
    made = build_results(plain, dict.fromkeys(asked))
    assert [each.choices for each in made if each.kind == "sr"] == [{"enhanced"}]
    for variant in asked:
        assert by_uid(of(variant, made)) == by_uid(build_results(plain, {variant: None}))


def test_the_report_of_each_variant_names_its_own_predecessor() -> None:
    first, second = VARIANTS[0], VARIANTS[-1]
    made = build_results(sample(), {first: None, second: FORMER})
    (plain,) = [each for each in of(first, made) if each.kind == "sr"]
    (later,) = [each for each in of(second, made) if each.kind == "sr"]
    assert "PredecessorDocumentsSequence" not in plain.data_set
    (named,) = later.data_set.PredecessorDocumentsSequence
    (reference,) = named.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert reference.ReferencedSOPInstanceUID == FORMER.sop_instance_uid
