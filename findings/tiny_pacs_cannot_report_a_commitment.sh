#!/usr/bin/env bash
# tiny-pacs is asked for storage commitment (PS3.4 annex J) of an instance that it has just stored, by a
# node in its list of devices that listens for the report.
#
# Guess before the run: N-ACTION is answered 0x0000, and the report comes on a new association.
# Seen (tiny-pacs 0.4.1 on pynetdicom2 0.9.8, asked by pynetdicom 3.0.4): N-ACTION is answered 0x0000 and
#   a connection comes; no association request follows on it, and no report. Its log has a struct.error:
#   it proposes every storage class that it knows, and a presentation context ID is an odd number up to
#   255 (PS3.8 table 9-13), so that there can be 128 contexts at most.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tiny-pacs==0.4.1 pynetdicom2==0.9.8 \
    pynetdicom==3.0.4 pydicom==3.0.2
cd "$folder"
read -r pacs node < <(venv/bin/python -c '
import socket
a, b = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
print(a.getsockname()[1], b.getsockname()[1])')
cat > pacs.yaml <<YAML
ae: {ae_title: [PACS], port: $pacs, dump_ds: false}
components:
  Database: {on: true, db_name: $folder/db.sqlite, mode: rwc}
  Devices: {on: true, devices: {NODE: {aet: NODE, address: 127.0.0.1, port: $node}}}
  PACS: {on: true}
  InMemoryStorage: {on: false}
  FileStorage: {on: true, storage_dir: $folder/files}
YAML
mkdir files
timeout 100 venv/bin/python -W ignore -m tiny_pacs run -c pacs.yaml > pacs.log 2>&1 &
server=$!
venv/bin/python -W ignore - "$pacs" "$node" <<'PY'
import sys
import threading
import time

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

pacs, node = int(sys.argv[1]), int(sys.argv[2])
seen = {"connections": 0, "requests": 0, "reports": 0}
connected = threading.Event()


def count(name: str) -> None:
    seen[name] += 1
    connected.set()


def report(_event: evt.Event) -> tuple[int, None]:
    count("reports")
    return 0x0000, None


listener = AE("NODE")
listener.add_supported_context(StorageCommitmentPushModel)
handlers = [
    (evt.EVT_CONN_OPEN, lambda _: count("connections")),
    (evt.EVT_REQUESTED, lambda _: count("requests")),
    (evt.EVT_N_EVENT_REPORT, report),
]
listening = listener.start_server(("127.0.0.1", node), block=False, evt_handlers=handlers)

ae = AE("NODE")
ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
ae.add_requested_context(StorageCommitmentPushModel)
for _ in range(100):
    association = ae.associate("127.0.0.1", pacs, ae_title="PACS")
    if association.is_established:
        break
    time.sleep(0.1)
image = Dataset()
image.file_meta = FileMetaDataset()
image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, "2.25.1"
image.StudyInstanceUID, image.SeriesInstanceUID = "2.25.2", "2.25.3"
image.PatientID, image.PatientName, image.Modality = "ID-A", "Patient^A", "CT"
image.PatientBirthDate = image.PatientSex = image.StudyID = image.AccessionNumber = ""
image.StudyDate, image.StudyTime, image.ReferringPhysicianName = "20260101", "101010", ""
image.SeriesNumber, image.InstanceNumber = 1, 1
stored = association.send_c_store(image).Status
item = Dataset()
item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
asked = Dataset()
asked.TransactionUID, asked.ReferencedSOPSequence = "2.25.4", [item]
answer, _ = association.send_n_action(
    asked, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
)
association.release()
connected.wait(20)
time.sleep(3)  # what would follow on the connection
print(f"C-STORE 0x{stored:04X}, N-ACTION 0x{answer.Status:04X}, then {seen}")
listening.shutdown()
assert (stored, answer.Status) == (0x0000, 0x0000)
assert seen["requests"] == seen["reports"] == 0
PY
grep -m 1 'struct.error' pacs.log
