"""Who gets what: the union of all routes that match, whatever else is configured."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from dicomnode.decisions.delivery.routes import (
    SENDER,
    ObjectKind,
    Route,
    Taker,
    Target,
    senders_without_destination,
    takers,
    unreached,
    variants_of,
)
from dicomnode.decisions.result_options import SegmentationKind, SrClass, Variant

NAMES, TITLES = ("pacs", "archive", "desk"), ("CT1", "CT2", "PACS")
VARIANT = Variant(SrClass.COMPREHENSIVE_3D, SegmentationKind.BINARY)
VARIANTS = st.builds(Variant, st.sampled_from(SrClass), st.sampled_from(SegmentationKind))


def some(of: Sequence[str], least: int = 0) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(of), min_size=least, unique=True).map(tuple)


ROUTES = st.lists(
    st.builds(
        Route,
        to=some((*NAMES, SENDER), 1),
        senders=some(TITLES),
        objects=some(list(ObjectKind)),
    )
)
TARGETS = st.lists(
    st.builds(Target, st.sampled_from(NAMES), st.sampled_from((*TITLES, "")), VARIANTS),
    unique_by=lambda each: each.name,
)
SENDERS = st.sets(st.sampled_from(TITLES), min_size=1)


def got(found: Sequence[Taker]) -> set[tuple[str, ObjectKind]]:
    return {(each.name, kind) for each in found for kind in each.kinds}


@given(ROUTES.filter(bool), TARGETS, SENDERS)
def test_each_kind_goes_to_the_union_of_the_matching_routes(
    routes: list[Route], targets: list[Target], senders: set[str]
) -> None:
    wanted = {
        (target.name, kind)
        for route, target, sender, kind in product(routes, targets, senders, ObjectKind)
        if (not route.senders or sender in route.senders)
        and (not route.objects or kind in route.objects)
        and (target.name in route.to or ("sender" in route.to and target.ae_title == sender))
    }
    assert got(takers(routes, targets, senders)) == wanted


@given(TARGETS, SENDERS)
def test_without_routes_everything_goes_everywhere(
    targets: list[Target], senders: set[str]
) -> None:
    assert got(takers([], targets, senders)) == set(product((t.name for t in targets), ObjectKind))


@given(st.data(), ROUTES, TARGETS, SENDERS)
def test_in_which_order_they_stand_changes_nothing(
    data: st.DataObject, routes: list[Route], targets: list[Target], senders: set[str]
) -> None:
    found = takers(routes, targets, senders)
    again = takers(data.draw(st.permutations(routes)), data.draw(st.permutations(targets)), senders)
    assert set(again) == set(found)
    assert variants_of(again) == variants_of(found)


@given(ROUTES.filter(bool), TARGETS, st.builds(Target, st.just("new"), st.just(""), VARIANTS))
def test_a_destination_more_or_less_changes_nothing_for_the_others(
    routes: list[Route], targets: list[Target], new: Target
) -> None:
    found = takers(routes, targets, TITLES)
    more = takers([*routes, Route(to=("new",))], [*targets, new], TITLES)
    assert [each for each in more if each.name != "new"] == list(found)
    assert {*variants_of(found), new.variant} == set(variants_of(more))


@given(ROUTES, TARGETS, SENDERS)
def test_every_variant_that_somebody_takes_is_made_and_no_other(
    routes: list[Route], targets: list[Target], senders: set[str]
) -> None:
    found = takers(routes, targets, senders)
    in_variants = {ObjectKind.REPORT, ObjectKind.SEGMENTATION}
    asking = [each for each in found if not each.kinds.isdisjoint(in_variants)]
    assert set(variants_of(found)) == {each.variant for each in asking}


def test_a_taker_takes_what_shows_its_own_choices_alone() -> None:
    taker = Taker("pacs", frozenset({ObjectKind.REPORT}), VARIANT)
    assert taker.takes(ObjectKind.REPORT, ["comprehensive_3d"])
    assert taker.takes(ObjectKind.REPORT, ["binary", "comprehensive_3d"])
    assert taker.takes(ObjectKind.REPORT, [])
    assert not taker.takes(ObjectKind.REPORT, ["comprehensive_3d", "labelmap"])
    assert not taker.takes(ObjectKind.SEGMENTATION, ["binary"])


def test_a_sender_that_is_no_destination_is_named() -> None:
    targets = [Target("pacs", "PACS", VARIANT)]
    back = Route(to=(SENDER,), senders=("CT1", "PACS"))
    assert senders_without_destination([back], targets, {"CT1", "CT2", "PACS"}) == ("CT1",)
    assert senders_without_destination([Route(to=("pacs",))], targets, {"CT1"}) == ()


def test_a_destination_that_no_route_can_lead_to_is_named() -> None:
    assert unreached([], NAMES) == ()
    assert unreached([Route(to=("pacs",)), Route(to=("desk",))], NAMES) == ("archive",)
    assert unreached([Route(to=("pacs", SENDER))], NAMES) == ()
