"""The status of a C-STORE response against what pynetdicom's own table of the standard says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.status import STORAGE_SERVICE_CLASS_STATUS, code_to_category

from dicomnode.decisions.delivery.outcome import Ending
from dicomnode.decisions.delivery.store_status import STORE_STATUSES, status_row, store_outcome

KEPT = {"Success", "Warning"}


def test_a_status_of_the_storage_service_means_what_the_standard_says() -> None:
    """0x0111 is a failure there: what we sent was sent by us before, so it is where it shall be."""
    stored = {s for s in range(0x10000) if store_outcome(s).ending is Ending.STORED}
    kept = {s for s, (category, _) in STORAGE_SERVICE_CLASS_STATUS.items() if category in KEPT}
    assert stored & STORAGE_SERVICE_CLASS_STATUS.keys() == kept | {0x0111}


@given(st.integers(0, 0xFFFF))
def test_every_status_has_one_sentence_or_is_success(status: int) -> None:
    outcome = store_outcome(status)
    assert outcome.status == f"0x{status:04X}"
    assert outcome.warning == (code_to_category(status) == "Warning") or status >= 0xB000
    assert (outcome.text == "") == (status in (0x0000, 0x0111))
    assert outcome.text == "" or outcome.text.startswith(f"C-STORE answered 0x{status:04X}")


@pytest.mark.parametrize(
    ("status", "ending"),
    [
        (0x0000, Ending.STORED),
        (0x0111, Ending.STORED),
        (0xB000, Ending.STORED),
        (0xB006, Ending.STORED),
        (0xB007, Ending.STORED),
        (0xA700, Ending.AGAIN),
        (0xA7FF, Ending.AGAIN),
        (0xA900, Ending.HOPELESS),
        (0xA9FF, Ending.HOPELESS),
        (0xC000, Ending.HOPELESS),
        (0xCFFF, Ending.HOPELESS),
        (0x0122, Ending.HOPELESS),
        (0x0110, Ending.AGAIN),
        (0x0124, Ending.AGAIN),
        (0x4242, Ending.AGAIN),
    ],
)
def test_what_a_status_leads_to(status: int, ending: Ending) -> None:
    assert store_outcome(status).ending is ending


def test_what_is_hopeless_says_what_to_change() -> None:
    assert all(row.advice for row in STORE_STATUSES if row.ending is Ending.HOPELESS)


def test_a_warning_is_kept_and_told() -> None:
    assert status_row(0xB007).warning
    assert store_outcome(0xB007).text
    assert not status_row(0x0111).warning
    assert not store_outcome(0x0111).text


def test_the_peers_own_words_are_shown_apart_from_what_is_logged() -> None:
    outcome = store_outcome(0xA700, "quota of CT1")
    assert outcome.text == store_outcome(0xA700).text
    assert outcome.shown == f'{outcome.text} (it says: "quota of CT1")'
    assert store_outcome(0xA700).shown == outcome.text
