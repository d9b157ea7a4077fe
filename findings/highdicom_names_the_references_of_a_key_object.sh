#!/usr/bin/env bash
# A Key Object Selection document of one CT image, made by highdicom.
#
# Guess before the run: the reference is an IMAGE item without a concept name, as row 8 of TID 2010
#   (PS3.16) has none.
# Seen (highdicom 0.28.2, pydicom 3.0.2): the item bears the concept name (260753009, SCT, "Source"),
#   and the container says CONTINUOUS, so that readers which print it join its items to one text.
#   PixelMed's validator calls the name forbidden for the IMAGE item of TID 2010.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check highdicom==0.28.2 pydicom==3.0.2
"$folder/venv/bin/python" - <<'PY'
from highdicom.ko import KeyObjectSelection
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import CTImageStorage

image = Dataset()
image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, "1.2.826.0.1.3680043.8.498.91.1"
image.Rows, image.Columns = 16, 16
title = Code("113000", "DCM", "Of Interest")
(container,) = KeyObjectSelection(title, [image])
items = [each for each in container.ContentSequence if each.ValueType == "IMAGE"]
(name,) = items[0].ConceptNameCodeSequence
seen = (name.CodeValue, name.CodingSchemeDesignator, name.CodeMeaning)
print("concept name of the reference:", seen)
print("continuity of the container:", container.ContinuityOfContent)
assert seen == ("260753009", "SCT", "Source")
assert container.ContinuityOfContent == "CONTINUOUS"
PY
