"""A worker that does what `dicomnode worker` does with jobs, and computes nothing: quick to start.

`stand_in_worker.py worker --config FILE [--until-empty]`: claims analyses under short leases, takes
a while for each, and ends them. In its data directory `began` names its process, and `stopped`
tells that it was asked to stop.
"""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path

from dicomnode.clock import Clock, clock_of
from dicomnode.config.reading import load_settings
from dicomnode.held_lease import HeldLease, looking
from dicomnode.lifecycle import block_stop_signals, stop_on_request
from storage import jobs
from storage.database import Database
from storage.errors import LeaseLostError
from storage.records import JobKind

LEASE = timedelta(seconds=4)
JOB_SECONDS = 0.5


def main() -> None:
    block_stop_signals()
    stop = stop_on_request()
    folder = Path(os.environ["DICOMNODE_NODE__DATA_DIRECTORY"])
    settings = load_settings(Path(sys.argv[sys.argv.index("--config") + 1]))
    database = Database.open(settings.database_url)
    clock, owner = clock_of(database), f"{folder.name}/worker/{os.getpid()}/"
    (folder / "began").write_text(str(os.getpid()))
    while not stop.is_set():
        with database.write() as session:
            job = jobs.claim(
                session, [JobKind.ANALYSE], owner, clock.now(), LEASE, max_attempts=100
            )
        if job is None:
            if "--until-empty" in sys.argv:
                return
            stop.wait(0.1)
            continue
        lease = HeldLease(database, job, LEASE, clock)
        with looking(partial(_look, lease, clock)):
            stopped = stop.wait(JOB_SECONDS)
        try:
            with database.write() as session:
                if stopped:
                    jobs.put_back(session, job, clock.now(), count_attempt=False)
                else:
                    jobs.finish(session, job, clock.now())
        except LeaseLostError:
            continue
    (folder / "stopped").touch()


def _look(lease: HeldLease, clock: Clock) -> None:
    lease.look(clock.seconds())


if __name__ == "__main__":
    main()
