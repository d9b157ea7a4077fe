"""Back-ups made while four senders keep two receivers busy: each, put back, has all that was
answered before it began."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select

from dicomnode.config.sections import NodeSettings
from dicomnode.config.settings import Settings
from dicomnode.data_directory.backup import Backup, back_up, damaged_files, put_back
from dicomnode.data_directory.holding import only_one
from dicomnode.receive.reconciliation import reconcile
from storage.database import Database
from storage.instances import InstanceFiles
from storage.models import InstanceRow
from support.load import Ledger, Sender, sending
from support.receiver_process import Receivers
from support.stamped import small_slice
from support.wait import wait_for

BACKUPS = 5
SENDERS = 4


@pytest.fixture
def receivers(tmp_path: Path) -> Iterator[Receivers]:
    receivers = Receivers(tmp_path / "node", {"processes": 2})
    try:
        with only_one(receivers.settings.node.data_directory):
            receivers.start_all()
            yield receivers
    finally:
        receivers.close()


@pytest.mark.long
def test_a_backup_under_load_has_all_that_was_answered_before_it(
    receivers: Receivers, tmp_path: Path
) -> None:
    ledger = Ledger()
    senders = [Sender(receivers.port, [small_slice()], ledger, seed) for seed in range(SENDERS)]
    made: list[tuple[dict[str, str], Path, Backup]] = []
    began = datetime.now(UTC)
    with sending(senders):
        for number in range(BACKUPS):
            come = partial(has_come, ledger, 50 * (number + 1))
            wait_for(come, "instances have come")
            answered = dict(ledger.answered)
            when = began + timedelta(seconds=number)
            made.append((answered, *back_up(receivers.settings, tmp_path / "backups", when)))
    assert ledger.broken == 0
    for number, (answered, folder, told) in enumerate(made):
        assert (told.missing, damaged_files(folder)) == ((), ())
        assert told.linked > 0 or number == 0
        assert answered.items() <= restored(folder, tmp_path / f"restored-{number}").items()
    print(f"{BACKUPS} back-ups, {[len(answered) for answered, _, _ in made]} answered before")


def has_come(ledger: Ledger, count: int) -> bool:
    return len(ledger.answered) >= count


def restored(folder: Path, to: Path) -> dict[str, str]:
    """What a node that starts on it knows: the digests of instances, by UID; each has its file."""
    settings = Settings(node=NodeSettings(data_directory=to))
    with only_one(to):
        put_back(folder, settings, datetime.now(UTC))
    files = InstanceFiles(settings.instances)
    with closing(Database.open(settings.database_url)) as database:
        reconcile(database, files, "0" * 32)
        with database.read() as session:
            rows = session.scalars(select(InstanceRow)).all()
            assert all(files.is_there(row.path) for row in rows)
            return {row.sop_instance_uid: row.sha256 for row in rows}
