#!/usr/bin/env bash
# tiny-pacs holds a series of three images and is asked for them by C-FIND at the IMAGE level.
#
# Guess before the run: three answers, one for each SOP Instance UID.
# Seen (tiny-pacs 0.4.1, asked by pynetdicom 3.0.4 and pydicom 3.0.2): at the SERIES level it counts 3
#   instances; at the IMAGE level it gives three answers that all bear the third image's SOP Instance UID
#   and Instance Number, with the final status 0x0000. Specific Character Set of its answers is
#   "ISO-IR 6", which is no defined term (PS3.3 C.12.1.1.2: "ISO_IR 6", or the attribute is left out).
#   Who counts images by distinct UIDs gets 1, who counts answers gets 3.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tiny-pacs==0.4.1 pynetdicom==3.0.4 \
    pydicom==3.0.2
cd "$folder"
port=$(venv/bin/python -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
venv/bin/tiny-pacs config generate --no-comments | sed "0,/port: 11112/s//port: $port/" > pacs.yaml
timeout 100 venv/bin/tiny-pacs run -c pacs.yaml > pacs.log 2>&1 &
server=$!
venv/bin/python -W ignore - "$port" <<'PY'
import sys
import time

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as StudyRootFind

ROOT = "1.2.826.0.1.3680043.8.498.89"


def image(number: int) -> Dataset:
    data_set = Dataset()
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data_set.SOPClassUID, data_set.SOPInstanceUID = CTImageStorage, f"{ROOT}.3.{number}"
    data_set.StudyInstanceUID, data_set.SeriesInstanceUID = f"{ROOT}.1", f"{ROOT}.2"
    data_set.PatientID, data_set.PatientName, data_set.Modality = "ID-A", "Patient^A", "CT"
    data_set.PatientBirthDate = data_set.PatientSex = data_set.StudyID = data_set.AccessionNumber = ""
    data_set.StudyDate, data_set.StudyTime, data_set.ReferringPhysicianName = "20260101", "101010", ""
    data_set.SeriesNumber, data_set.InstanceNumber = 1, number
    return data_set


def find(association, level: str, **keys: str) -> list[Dataset]:
    query = Dataset()
    query.QueryRetrieveLevel = level
    query.StudyInstanceUID, query.SeriesInstanceUID = f"{ROOT}.1", f"{ROOT}.2"
    for keyword, value in keys.items():
        setattr(query, keyword, value)
    answers = list(association.send_c_find(query, StudyRootFind))
    assert answers[-1][0].Status == 0x0000
    return [answer for _status, answer in answers if answer is not None]


ae = AE()
ae.add_requested_context(CTImageStorage)
ae.add_requested_context(StudyRootFind)
deadline = time.monotonic() + 60
while not (association := ae.associate("127.0.0.1", int(sys.argv[1]), ae_title="TINY_PACS")).is_established:
    assert time.monotonic() < deadline, "tiny-pacs does not listen"
    time.sleep(0.2)
for number in (1, 2, 3):
    assert association.send_c_store(image(number)).Status == 0x0000
(series,) = find(association, "SERIES", NumberOfSeriesRelatedInstances="")
images = find(association, "IMAGE", SOPInstanceUID="", InstanceNumber="")
association.release()
print("SERIES level:", series.NumberOfSeriesRelatedInstances, "instances")
print("IMAGE level: ", [(str(each.SOPInstanceUID), int(each.InstanceNumber)) for each in images])
print("character set:", images[0].SpecificCharacterSet)
assert int(series.NumberOfSeriesRelatedInstances) == 3
assert [str(each.SOPInstanceUID) for each in images] == [f"{ROOT}.3.3"] * 3
assert images[0].SpecificCharacterSet == "ISO-IR 6"
PY
