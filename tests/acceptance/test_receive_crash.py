"""Receivers killed with `kill -9` at random moments under load lose nothing that was answered.

Each receiver is the real process (`dicomnode role receiver-N`); two share one data directory and
one port, and the other goes on while one is killed. A kill ends a process, not the machine: it
shows that whole files stand before the answer and that start-up brings the index up to date. That
the bytes are on the disk by then, and not only in the kernel, it cannot show.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select

from storage.database import Database
from storage.models import AssociationRow, InstanceConflictRow, InstanceRow, SeriesRow
from support.load import Ledger, Sender, sending
from support.receiver_process import Receivers
from support.scu import Scu
from support.stamped import Template, real_slices, small_slice
from support.wait import wait_for

SENDERS = 4
KILLS_QUICK = 24
KILLS = 25  # in each of the eight runs that make two hundred


@pytest.fixture(scope="module")
def templates() -> list[Template]:
    """Real slices of 512 KiB, so that kills hit half-written files; three small ones for each."""
    return [*real_slices(4), *[small_slice()] * 12]


@pytest.fixture
def receivers(tmp_path: Path) -> Iterator[Receivers]:
    receivers = Receivers(tmp_path / "node", {"processes": 2})
    try:
        receivers.start_all()
        yield receivers
    finally:
        receivers.close()


@pytest.mark.long
def test_kills_lose_nothing_that_was_answered(
    receivers: Receivers, templates: list[Template]
) -> None:
    check_kills(receivers, templates, KILLS_QUICK, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 10))
def test_two_hundred_kills_lose_nothing_that_was_answered(
    receivers: Receivers, templates: list[Template], seed: int
) -> None:
    check_kills(receivers, templates, KILLS, seed)


def check_kills(receivers: Receivers, templates: list[Template], kills: int, seed: int) -> None:
    ledger = Ledger()
    senders = [
        Sender(receivers.port, templates, ledger, seed * 10 + each) for each in range(SENDERS)
    ]
    with sending(senders):
        kill_at_random(receivers, kills, random.Random(seed))
    told = f"{kills} kills, {len(ledger.sent)} sent, {len(ledger.answered)} answered"
    print(f"{told}, {ledger.broken} associations broken")
    assert ledger.other_answers == []
    assert ledger.broken >= kills / 2, f"the kills did not hit receivers at work: {told}"
    check_files(receivers, ledger)
    check_index(receivers, ledger)
    assert "Traceback" not in receivers.log, receivers.log


def kill_at_random(receivers: Receivers, kills: int, rng: random.Random) -> None:
    """One of them at a time: mostly at work, every sixth time while it starts and reconciles."""
    for _ in range(kills):
        number = rng.choice(list(receivers.processes))
        if rng.random() < 5 / 6:
            receivers.wait_until_it_listens(number)
            time.sleep(rng.uniform(0.0, 0.5))  # the random moment is what is tested
        else:
            time.sleep(rng.uniform(0.0, 1.0))
        receivers.kill(number)
        receivers.start(number)
    receivers.wait_until_it_answers()
    for number in receivers.processes:
        receivers.wait_until_it_listens(number)


def check_files(receivers: Receivers, ledger: Ledger) -> None:
    """No answered instance is missing, and none of any kind is damaged: by digest."""
    stored = Counter(data_set_digest(path) for path in stored_files(receivers))
    assert not set(ledger.answered.values()) - set(stored), "answered, but not there"
    assert not set(stored) - set(ledger.sent.values()), "damaged: nobody sent this"
    assert set(stored.values()) == {1}


def check_index(receivers: Receivers, ledger: Ledger) -> None:
    """It knows every file exactly once, under its own UID, and counts the series right."""
    expected = {digest: uid for uid, digest in ledger.sent.items()}
    on_disk = {data_set_digest(path) for path in stored_files(receivers)}
    with closing(Database.open(receivers.settings.database_url)) as database:
        wait_for(lambda: len(indexed(database)) >= len(on_disk), "the index has caught up")
        assert indexed(database) == {expected[digest]: digest for digest in on_disk}
        with database.read() as session:
            assert session.scalars(select(InstanceConflictRow)).all() == []
            counts = {
                row.series_instance_uid: row.instance_count
                for row in session.scalars(select(SeriesRow))
            }
            paths = set(session.scalars(select(InstanceRow.path)))
    assert counts == Counter(ledger.series[expected[digest]] for digest in on_disk)
    assert paths == set(receivers.files.iter_paths())


def indexed(database: Database) -> dict[str, str]:
    with database.read() as session:
        rows = session.execute(select(InstanceRow.sop_instance_uid, InstanceRow.sha256))
        return {row.sop_instance_uid: row.sha256 for row in rows}


def stored_files(receivers: Receivers) -> list[Path]:
    files = receivers.files
    return [files.open_path(path) for path in files.iter_paths()]


def data_set_digest(path: Path) -> str:
    """SHA-256 of what follows the file meta information, as it was sent."""
    content = path.read_bytes()
    meta_length = int.from_bytes(content[140:144], "little")
    return hashlib.sha256(content[144 + meta_length :]).hexdigest()


def test_a_receiver_that_starts_again_leaves_the_others_associations_alone(
    receivers: Receivers,
) -> None:
    """What is open in one process is not lost because another one was killed."""
    slices = small_slice()
    with closing(Database.open(receivers.settings.database_url)) as database:
        open_ones = [Scu(receivers.port, calling=f"PEER{number}") for number in range(8)]
        for number, association in enumerate(open_ones):
            assert association.store_instance(slices.instance(number, number)) == 0x0000
        wait_for(lambda: len(endings(database)) == 8, "all are in the index")
        receivers.kill(1)
        alive = [each for each in open_ones if not is_broken(each)]
        assert alive, "all eight were the killed one's"
        receivers.start(1)
        receivers.wait_until_it_listens(1)
        for number, association in enumerate(alive):
            assert association.store_instance(slices.instance(100 + number, number)) == 0x0000
        wait_for(lambda: len(indexed(database)) == 8 + len(alive), "all are in the index")
        assert sum(end is None for end in endings(database).values()) == len(alive)
        for association in alive:
            association.release()


def endings(database: Database) -> dict[str, str | None]:
    with database.read() as session:
        rows = session.execute(select(AssociationRow.association_id, AssociationRow.ending))
        return {row.association_id: row.ending for row in rows}


def is_broken(association: Scu) -> bool:
    """Whether the receiver's end is gone: its kernel says so at once when it was killed."""
    association.socket.settimeout(0.2)
    try:
        association.socket.recv(1)
    except TimeoutError:
        association.socket.settimeout(60)
        return False
    except ConnectionError:
        pass
    association.close()
    return True
