"""Files go after their time, and nothing else does: beside resends, and under kill -9."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from dicomnode.data_directory.cleaner import Cleaner, clean_once
from dicomnode.receive.arrivals import ArrivalIndexer
from dicomnode.receive.reconciliation import Reconciler
from storage.durable import INCOMING
from storage.models import RemovalRow
from storage.records import SeriesState
from support.house import NODE, POLICY, House
from support.postgresql import MIGRATED, postgresql_server
from support.wait import wait_for

DAY = timedelta(days=1)

_TURN = [SeriesState.ANALYSED, SeriesState.SKIPPED, SeriesState.FAILED]
_TURN += [SeriesState.QUEUED, SeriesState.RECEIVING]
"""Whose job stays open comes last, so that no other claims it."""


@given(
    each=st.lists(
        st.tuples(st.sampled_from(SeriesState), st.integers(0, 100), st.booleans()),
        min_size=1,
        max_size=6,
    )
)
@settings(max_examples=12, deadline=None)
def test_what_waits_is_never_touched_and_what_is_due_goes(
    tmp_path_factory: pytest.TempPathFactory, each: list[tuple[SeriesState, int, bool]]
) -> None:
    each.sort(key=lambda one: (_TURN.index(one[0]), not one[2]))
    house = House(tmp_path_factory.mktemp("house"))
    for number, (state, days, delivered) in enumerate(each):
        house.add(f"1.2.{number}", state, days * DAY + DAY / 2, delivered)
    before = [house.state_of(f"1.2.{number}") for number in range(len(each))]
    house.cleaner().clean(house.now)
    for number, (state, days, delivered) in enumerate(each):
        kept_for = POLICY.of(state)
        waits = kept_for is None or (state is SeriesState.ANALYSED and not delivered)
        goes = not waits and kept_for is not None and days * DAY + DAY / 2 >= kept_for
        expected = (0, 0, True) if goes else before[number]
        assert house.state_of(f"1.2.{number}") == expected
    house.check()
    house.database.close()


def test_a_resend_that_goes_on_puts_the_removal_off(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.add("1.2.3", SeriesState.SKIPPED, 300 * DAY)
    house.store_file("1.2.3", 0)  # answered 0x0000; a duplicate changes nothing in the index
    house.cleaner().clean(house.now)
    assert house.state_of("1.2.3") == (3, 3, False)
    house.cleaner().clean(house.now + 8 * DAY)
    assert house.state_of("1.2.3") == (0, 0, True)
    house.database.close()


@pytest.mark.parametrize("system", ["sqlite", "postgresql"])
def test_resends_while_the_files_go_are_all_kept(tmp_path: Path, system: str) -> None:
    """Both at once, again and again: whatever was answered is there and in the index."""
    with postgresql_server() if system == "postgresql" else nullcontext() as server:
        resend_while_removing(House(tmp_path, server.url(MIGRATED) if server else ""))


def resend_while_removing(house: House) -> None:
    indexer = ArrivalIndexer(house.database, Reconciler(house.database, house.files, NODE))
    indexer.start()
    wait_for(lambda: indexer.caught_up, "the files of the turns are left to their senders")
    for turn in range(15):
        uid = f"1.2.{turn}"
        house.add(uid, SeriesState.SKIPPED, 300 * DAY)
        begin = threading.Barrier(2)

        def send(uid: str = uid, begin: threading.Barrier = begin) -> None:
            begin.wait()
            for number in range(3):
                indexer.put(house.store_file(uid, number))

        sender = threading.Thread(target=send)
        sender.start()
        begin.wait()
        house.cleaner().clean(datetime.now(UTC))
        sender.join()
        paths = {each.path for each in house.store_files(uid, 3)}
        wait_for(partial(house.knows, paths), "every answered instance is known")
        house.cleaner().clean(datetime.now(UTC))
        assert paths <= set(house.files.iter_paths())
    assert indexer.close(10)
    house.check()
    house.database.close()


@pytest.mark.long
def test_a_cleaner_that_is_killed_anywhere_leaves_no_harm(tmp_path: Path) -> None:
    house = House(tmp_path)
    uids = [f"1.2.{number}" for number in range(60)]
    for number, uid in enumerate(uids):
        house.add(uid, SeriesState.ANALYSED if number % 2 else SeriesState.SKIPPED, 300 * DAY)
    house.add("1.3", SeriesState.QUEUED, 300 * DAY)
    chance = random.Random(1)
    kills = 0
    while kills < 25:
        child = os.fork()
        if child == 0:
            try:
                clean_once(Cleaner(house.settings, POLICY, house.database), house.now)
            finally:
                os._exit(0)
        time.sleep(chance.uniform(0.0, 0.06))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        kills += os.WIFSIGNALED(status)
        house.check()
        if not os.WIFSIGNALED(status):
            break
    assert kills >= 20
    house.cleaner().clean(house.now)
    assert [house.state_of(uid) for uid in uids] == [(0, 0, True)] * len(uids)
    assert house.state_of("1.3") == (3, 3, False)
    assert list((house.settings.instances / INCOMING).iterdir()) == []
    with house.database.read() as session:
        assert session.scalars(select(RemovalRow)).all() == []
    house.database.close()
