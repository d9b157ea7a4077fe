#!/usr/bin/env bash
# Plain CT, whose Contrast/Bolus Agent (0018,0010) is empty or says NONE, through dicom-anonymizer.
#
# Guess before the run: the empty one stays empty; the one that says NONE keeps it or is emptied.
# Seen (dicom-anonymizer 2.1.0, pydicom 3.0.2): both come out with the agent "ANONYMIZED"; where the
#   attribute is absent it stays absent. Who takes a filled Contrast/Bolus Agent for an injection drops
#   every plain scan that went this way. (PS3.15 table E.1-1 has Z/D for this attribute: a value of zero
#   length or a dummy, and a dummy cannot be told from an agent.) Patient Identity Removed is not set.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check dicom-anonymizer==2.1.0 pydicom==3.0.2
cd "$folder"
venv/bin/python - <<'PY'
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

ROOT = "1.2.826.0.1.3680043.8.498.90"
Path("plain").mkdir()
for number, (name, agent) in enumerate({"empty": "", "none": "NONE", "absent": None}.items()):
    ct = Dataset()
    ct.file_meta = FileMetaDataset()
    ct.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ct.file_meta.MediaStorageSOPClassUID = ct.SOPClassUID = CTImageStorage
    ct.file_meta.MediaStorageSOPInstanceUID = ct.SOPInstanceUID = f"{ROOT}.3.{number + 1}"
    ct.StudyInstanceUID, ct.SeriesInstanceUID = f"{ROOT}.1", f"{ROOT}.2"
    ct.PatientID, ct.PatientName, ct.Modality = "ID-A", "Patient^A", "CT"
    if agent is not None:
        ct.ContrastBolusAgent = agent
    ct.save_as(f"plain/{name}.dcm", enforce_file_format=True)
PY
mkdir out
venv/bin/dicom-anonymizer plain out > log 2>&1
venv/bin/python - <<'PY'
from pydicom import dcmread

seen = {}
for name in ("empty", "none", "absent"):
    ct = dcmread(f"out/{name}.dcm")
    seen[name] = ct.get("ContrastBolusAgent", "absent"), ct.get("PatientIdentityRemoved", "absent")
    print(f"{name:<7} Contrast/Bolus Agent: {seen[name][0]}, Patient Identity Removed: {seen[name][1]}")
assert seen == {
    "empty": ("ANONYMIZED", "absent"),
    "none": ("ANONYMIZED", "absent"),
    "absent": ("absent", "absent"),
}
PY
