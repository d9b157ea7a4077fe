"""What became of results, beside their files: whole, durable, and nothing else when damaged."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.decided import Withdrawal
from storage.errors import DamagedHistoryError
from storage.records import DeliveryState
from storage.result_history import KeptWithdrawal, Sent, SentFiles, Withdrawals
from storage.results import ResultFiles
from support.storage_samples import NOW, SERIES, result

WITHDRAWAL = Withdrawal(NOW, ("2.25.1", "2.25.2"), 60, (), "safety", "Rejected")
KEPT = KeptWithdrawal(SERIES, WITHDRAWAL, {"PACS": result("ko")})
STORED = Sent("2.25.1", "PACS", DeliveryState.STORED, NOW)
REFUSED = Sent("2.25.1", "Ärzte", DeliveryState.FAILED, NOW, "C-STORE answered 0xA900")


def only_file(folder: Path) -> Path:
    (found,) = folder.rglob("*.json")
    return found


def test_a_withdrawal_is_read_as_it_was_written(tmp_path: Path) -> None:
    Withdrawals(tmp_path).put(KEPT)
    Withdrawals(tmp_path).put(KEPT)
    assert Withdrawals(tmp_path).of_series(SERIES) == (KEPT,)
    assert Withdrawals(tmp_path).of_series(f"{SERIES}.1") == ()
    assert list(Withdrawals(tmp_path).every()) == [KEPT]


def test_each_set_of_a_series_has_its_own(tmp_path: Path) -> None:
    other = KeptWithdrawal(SERIES, Withdrawal(NOW, ("2.25.3",), 60, (), "outdated", "Rejected"))
    for each in (KEPT, other):
        Withdrawals(tmp_path).put(each)
    assert len(Withdrawals(tmp_path).of_series(SERIES)) == 2


def test_a_series_with_withdrawn_results_is_named_as_their_folder_is(tmp_path: Path) -> None:
    Withdrawals(tmp_path).put(KEPT)
    assert list(ResultFiles(tmp_path).iter_folders()) == []
    ResultFiles(tmp_path).store(SERIES, "2.25.1", b"a result")
    assert list(Withdrawals(tmp_path).folders()) == list(ResultFiles(tmp_path).iter_folders())


def test_what_was_withdrawn_since_is_read_alone(tmp_path: Path) -> None:
    Withdrawals(tmp_path).put(KEPT)
    written = only_file(tmp_path).parent.stat().st_mtime
    assert list(Withdrawals(tmp_path).every(written)) == [KEPT]
    assert list(Withdrawals(tmp_path).every(written + 1)) == []


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"{}", b"\xff", b'{"notes": 1}', b"[" * 100_000]
)
def test_a_damaged_record_is_no_empty_one(tmp_path: Path, content: bytes) -> None:
    Withdrawals(tmp_path).put(KEPT)
    only_file(tmp_path).write_bytes(content)
    with pytest.raises(DamagedHistoryError, match="is damaged"):
        Withdrawals(tmp_path).of_series(SERIES)
    assert list(Withdrawals(tmp_path).every()) == []


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    root, outside = tmp_path / "results", tmp_path / "outside.json"
    Withdrawals(root).put(KEPT)
    only_file(root).rename(outside)
    folder = next((root / "withdrawn").iterdir())
    (folder / f"{'0' * 32}.json").symlink_to(outside)
    with pytest.raises(DamagedHistoryError):
        Withdrawals(root).of_series(SERIES)


def test_what_was_sent_is_told_of_each_delivery(tmp_path: Path) -> None:
    files = SentFiles(tmp_path)
    assert files.of_series(SERIES) == ()
    for each in (STORED, REFUSED, STORED):
        files.note(SERIES, each)
    assert set(SentFiles(tmp_path).of_series(SERIES)) == {STORED, REFUSED}
    folder = only_file(tmp_path)
    assert SentFiles(tmp_path).key_of(f"{folder.parent.name}/{folder.stem}") == SERIES
    files.forget(SERIES)
    files.forget(SERIES)
    assert files.of_series(SERIES) == ()


def test_the_newest_word_on_a_delivery_counts(tmp_path: Path) -> None:
    later = Sent("2.25.1", "PACS", DeliveryState.FAILED, NOW + timedelta(seconds=1), "gone")
    for each in (STORED, later):
        SentFiles(tmp_path).note(SERIES, each)
    assert SentFiles(tmp_path).of_series(SERIES) == (later,)


def test_a_damaged_list_of_what_was_sent_begins_anew(tmp_path: Path) -> None:
    SentFiles(tmp_path).note(SERIES, STORED)
    only_file(tmp_path).write_bytes(b"{")
    with pytest.raises(DamagedHistoryError):
        SentFiles(tmp_path).of_series(SERIES)
    SentFiles(tmp_path).note(SERIES, REFUSED)
    assert SentFiles(tmp_path).of_series(SERIES) == (REFUSED,)


def test_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    """A thread for each destination, as a deliverer has."""

    def write(destination: str) -> None:
        for number in range(10):
            sent = Sent(f"2.25.{number}", destination, DeliveryState.STORED, NOW)
            SentFiles(tmp_path).note(SERIES, sent)

    threads = [threading.Thread(target=write, args=(name,)) for name in ("a", "b", "c")]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(SentFiles(tmp_path).of_series(SERIES)) == 30


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_any_json_is_understood_or_refused(found: object) -> None:
    """Nothing else than a refusal comes of what is no record."""
    for kind, whole in ((KeptWithdrawal, KEPT.as_json()), (Sent, REFUSED.as_json())):
        for name in whole:
            try:
                kind.from_json(json.loads(json.dumps(whole | {name: found})))
            except (ValueError, KeyError, TypeError, AttributeError):
                continue
