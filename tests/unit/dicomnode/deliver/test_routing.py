"""Where results go by the configuration, in which variants they are made, and sent again."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import BasicTextSRStorage, SecondaryCaptureImageStorage

from dicomnode.config.destinations import Destination
from dicomnode.config.settings import Settings
from dicomnode.decisions.delivery.routes import ObjectKind, Route
from dicomnode.decisions.operating.canary import CanaryPolicy
from dicomnode.decisions.result_options import AllSlices, SegmentationKind, SrClass, Variant
from dicomnode.deliver.resend import Resent, resend
from dicomnode.deliver.routing import (
    object_kind,
    routing,
    warn_of_senders,
    warn_of_unreached,
)
from dicomnode.errors import DataError
from dicomnode.results.build import build_results
from dicomnode.results.pictures.all_slices import SLICES
from storage.canary_runs import CANARY_AE_TITLE
from storage.database import Database
from storage.records import NOTE_KIND, DeliveryRecord, ResultRecord
from storage.result_sets import sets_of_series
from support.region_samples import COVID, region, regions
from support.result_samples import context, options
from support.storage_samples import SERIES, analyse, queue, receive

NOW = datetime(2026, 3, 2, tzinfo=UTC)
OWN = Variant(SrClass.COMPREHENSIVE_3D, SegmentationKind.BINARY)


def place(name: str, **more: object) -> Destination:
    return Destination.model_validate(
        {"name": name, "ae_title": name.upper(), "address": "x", "port": 104} | more
    )


def record(
    kind: str,
    uid: str = "2.25.1",
    choices: str = "",
    sop_class_uid: str = SecondaryCaptureImageStorage,
) -> ResultRecord:
    path = f"{uid}.dcm"
    return ResultRecord(uid, sop_class_uid, "2.25.9", SERIES, kind, path, 10, NOW, choices)


PACS, MODERN = place("pacs"), place("modern", sr_class="enhanced", segmentation="labelmap")


def test_each_kind_of_object_has_a_kind_that_routes_name() -> None:
    chosen = options(key_slices=1, all_slices=AllSlices.JPEG)
    made = build_results(context(regions=regions(region(COVID, 0.75)), settings=chosen))
    found = {each.kind: object_kind(record(each.kind)) for each in made} | {
        SLICES: object_kind(record(SLICES))
    }
    assert found == {
        "sr": ObjectKind.REPORT,
        "montage": ObjectKind.PICTURES,
        "key_slice": ObjectKind.PICTURES,
        "slice": ObjectKind.SLICES,
        "slices": ObjectKind.SLICES,
        "seg": ObjectKind.SEGMENTATION,
        "region_seg": ObjectKind.SEGMENTATION,
    }


def test_each_destination_gets_what_is_in_its_variant() -> None:
    goes = routing(Settings(destinations=(PACS, MODERN)), ["CT1"])
    assert goes.variants == (OWN, Variant(SrClass.ENHANCED, SegmentationKind.LABELMAP))
    assert goes.destinations_of(record("sr", choices="binary comprehensive_3d")) == ("pacs",)
    assert goes.destinations_of(record("sr", choices="enhanced")) == ("modern",)
    assert goes.destinations_of(record("seg", choices="labelmap")) == ("modern",)
    assert goes.destinations_of(record("montage")) == ("pacs", "modern")
    assert goes.destinations_of(record("sr")) == ("pacs", "modern")  # of a former version


def test_a_note_follows_the_routes_of_report_and_pictures() -> None:
    routes = (Route(("pacs",), objects=(ObjectKind.REPORT,)), Route(("modern",), ("CT2",)))
    settings = Settings(destinations=(PACS, MODERN), routes=routes)
    text, page = record(NOTE_KIND, sop_class_uid=BasicTextSRStorage), record(NOTE_KIND)
    assert routing(settings, ["CT1"]).destinations_of(text) == ("pacs",)
    assert routing(settings, ["CT1"]).destinations_of(page) == ()
    assert routing(settings, ["CT1", "CT2"]).destinations_of(text) == ("pacs", "modern")


def test_without_a_taker_results_are_made_as_the_settings_say() -> None:
    settings = Settings(destinations=(MODERN,), routes=(Route(("modern",), ("CT2",)),))
    assert routing(settings, ["CT1"]).variants == (OWN,)
    assert routing(Settings(), ["CT1"]).variants == (OWN,)


def test_what_leads_nowhere_is_told(caplog: pytest.LogCaptureFixture) -> None:
    routes = (Route(("sender",), ("CT1",)), Route(("pacs",), ("CT2",)))
    settings = Settings(destinations=(PACS, MODERN), routes=routes)
    with caplog.at_level(logging.WARNING):
        warn_of_senders(settings, SERIES, ["CT2"])
        warn_of_unreached(settings)
    assert caplog.messages == []  # "sender" may be any of them
    warn_of_senders(settings, SERIES, ["CT1"])
    assert [each.split(": ", 1)[1] for each in caplog.messages] == [
        "no destination has the AE title of its sender, CT1: nothing goes back",
        "no route for what CT1 sends: its results stay",
    ]
    caplog.clear()
    warn_of_unreached(Settings(destinations=(PACS, MODERN), routes=routes[1:]))
    assert caplog.messages == ["destinations: no route leads to modern (routes, key `to`)"]


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database.open(f"sqlite:///{tmp_path / 'node.sqlite3'}")


def deliveries(database: Database) -> set[tuple[str, str]]:
    def of(each: DeliveryRecord) -> tuple[str, str]:
        return each.result.sop_instance_uid, each.destination

    with database.read() as session:
        return {of(each) for found in sets_of_series(session, SERIES) for each in found.deliveries}


def send_again(database: Database, settings: Settings, results: Sequence[ResultRecord]) -> Resent:
    receive(database)
    queue(database)
    analyse(database, results, ("pacs",))
    with database.read() as session:
        (chosen,) = sets_of_series(session, SERIES)
    return resend(database, settings, chosen, NOW)


REPORT, MONTAGE = record("sr", "2.25.1", "comprehensive_3d"), record("montage", "2.25.2")


def test_results_are_sent_again_by_the_routes_of_today(database: Database) -> None:
    routes = (Route(("pacs",), objects=(ObjectKind.REPORT,)), Route(("desk",)))
    settings = Settings(destinations=(PACS, place("desk")), routes=routes)
    assert send_again(database, settings, [REPORT, MONTAGE]) == Resent(SERIES, 3)
    expected = {("2.25.1", "pacs"), ("2.25.2", "pacs"), ("2.25.1", "desk"), ("2.25.2", "desk")}
    assert deliveries(database) == expected  # the montage stays with the PACS, not sent again


def test_a_destination_without_a_report_in_its_variant_gets_nothing(database: Database) -> None:
    settings = Settings(destinations=(PACS, MODERN))
    found = send_again(database, settings, [REPORT, MONTAGE])
    assert found == Resent(SERIES, 2, ("modern",))
    assert {to for _, to in deliveries(database)} == {"pacs"}


def test_when_that_is_all_there_is_it_is_told(database: Database) -> None:
    with pytest.raises(DataError, match="modern: no report was made in its sr_class"):
        send_again(database, Settings(destinations=(MODERN,)), [REPORT, MONTAGE])


ROUTES = st.lists(
    st.builds(
        Route,
        to=st.lists(st.sampled_from(["pacs", "modern", "sender"]), min_size=1).map(tuple),
        senders=st.lists(st.sampled_from(["CT1", CANARY_AE_TITLE])).map(tuple),
        objects=st.lists(st.sampled_from(list(ObjectKind))).map(tuple),
    ),
    max_size=4,
).map(tuple)


@given(ROUTES, st.sets(st.sampled_from(["pacs", "modern"])), st.sets(st.just("CT1")))
def test_whatever_the_routes_are_a_canary_reaches_only_whom_its_section_names(
    routes: tuple[Route, ...], named: set[str], others: set[str]
) -> None:
    """Also a destination that bears its very AE title."""
    back = place("modern", ae_title=CANARY_AE_TITLE)
    canary = CanaryPolicy(enabled=True, destinations=tuple(sorted(named)))
    settings = Settings(destinations=(PACS, back), routes=routes, canary=canary)
    goes = routing(settings, {CANARY_AE_TITLE, *others})
    assert {each.name for each in goes.takers} == named
    assert set(goes.destinations_of(record("montage"))) == named


def test_a_patient_is_routed_as_if_there_were_no_canary() -> None:
    settings = Settings(destinations=(PACS, MODERN))
    with_canary = settings.model_copy(update={"canary": CanaryPolicy(enabled=True)})
    assert routing(with_canary, ["CT1"]) == routing(settings, ["CT1"])
