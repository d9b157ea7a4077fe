#!/usr/bin/env bash
# Whoever retrieves by pynetdicom lets a person stop it: another thread calls abort() on the association
# while send_c_move waits for an archive that takes its time.
#
# Guess before the run: abort() ends the association, so send_c_move ends with it at once.
# Seen (pynetdicom 3.0.4): abort() returns and the association is aborted, but send_c_move goes on waiting
#   until dimse_timeout, and only then gives its empty status. With the default of 30 s, or none at all, as
#   retrieving from a tape wants it, nobody can stop it in that way.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pynetdicom==3.0.4 pydicom==3.0.2
"$folder/venv/bin/python" - <<'PY'
import threading
import time

from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelMove as Move

TIMEOUT = 12.0
asked, leave = threading.Event(), threading.Event()


def takes_its_time(_event: evt.Event):
    asked.set()
    leave.wait(60)
    yield None, None


scp = AE("ARCHIVE")
scp.add_supported_context(Move)
server = scp.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_MOVE, takes_its_time)])
scu = AE("CT1")
scu.add_requested_context(Move)
scu.dimse_timeout = TIMEOUT
association = scu.associate("127.0.0.1", server.socket.getsockname()[1])
assert association.is_established
key = Dataset()
key.QueryRetrieveLevel, key.StudyInstanceUID = "STUDY", "1.2.3"
statuses: list[Dataset] = []


def retrieve() -> None:
    statuses.extend(status for status, _ in association.send_c_move(key, "CT1", Move))


waiting = threading.Thread(target=retrieve)
waiting.start()
assert asked.wait(10)
began = time.monotonic()
association.abort()
aborted = time.monotonic() - began
waiting.join(TIMEOUT / 2)
still = waiting.is_alive()
waiting.join(3 * TIMEOUT)
print(f"abort() returned after {aborted:.1f} s, is_aborted {association.is_aborted}")
print(f"send_c_move still waits after {TIMEOUT / 2:.0f} s: {still}; ends: {not waiting.is_alive()}")
print(f"statuses: {[len(each) for each in statuses]} elements")
leave.set()
server.shutdown()
assert association.is_aborted and aborted < TIMEOUT / 2
assert still and not waiting.is_alive()
assert [len(each) for each in statuses] == [0]
PY
