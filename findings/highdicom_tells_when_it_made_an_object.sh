#!/usr/bin/env bash
# Two key object documents made by highdicom of the same input, with every date and time of theirs
# set to the same moment, as a program does that wants the same bytes of the same input.
#
# Guess before the run: they are equal; the dates and times of an object are those of Instance
#   Creation, Series and Content (PS3.3 sections C.12.1, C.7.3.1, C.17.2).
# Seen (highdicom 0.28.2, pydicom 3.0.2): they differ. Each has an item in Contributing Equipment
#   Sequence (PS3.3 section C.12.1) for highdicom itself, with a Contribution DateTime of the clock
#   to the microsecond; no argument of the constructor leaves it out or sets it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check highdicom==0.28.2 pydicom==3.0.2
"$folder/venv/bin/python" - <<'PY'
from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import CTImageStorage

root = "1.2.826.0.1.3680043.8.498.92"
image = Dataset()
image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, f"{root}.1"
image.StudyInstanceUID, image.SeriesInstanceUID = f"{root}.2", f"{root}.3"
image.Rows, image.Columns, image.Modality = 16, 16, "CT"
for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyID"):
    setattr(image, keyword, "")
for keyword in ("StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName"):
    setattr(image, keyword, "")


def document() -> Dataset:
    made = KeyObjectSelectionDocument(
        evidence=[image],
        content=KeyObjectSelection(Code("113000", "DCM", "Of Interest"), [image]),
        series_instance_uid=f"{root}.4",
        series_number=1,
        sop_instance_uid=f"{root}.5",
        instance_number=1,
    )
    for element in made:
        if element.VR in {"DA", "TM"} and element.value:
            element.value = "20260102" if element.VR == "DA" else "101500"
    return made


first, second = document(), document()
differing = [a.keyword for a, b in zip(first, second, strict=True) if a != b]
(itself,) = first.ContributingEquipmentSequence
print("differing:", differing)
print(itself.ManufacturerModelName, itself.ContributionDateTime)
assert differing == ["ContributingEquipmentSequence"]
assert itself.ManufacturerModelName == "highdicom"
del itself.ContributionDateTime
del second.ContributingEquipmentSequence[0].ContributionDateTime
assert first == second
PY
