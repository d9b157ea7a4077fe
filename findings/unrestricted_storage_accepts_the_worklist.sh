#!/usr/bin/env bash
# pynetdicom's switch for a Storage SCP that takes unknown and private storage classes.
#
# Guess before the run: with _config.UNRESTRICTED_STORAGE_SERVICE an acceptor takes every class that is
#   no other known service, and rejects Modality Worklist FIND, print and storage commitment.
# Seen (pynetdicom 3.0.4, pydicom 3.0.2): 36 of 104 classes that are no storage are accepted, Modality
#   Worklist Information Model - FIND, storage commitment's pull model and the retired print and
#   management classes among them. Study Root FIND is rejected as it should be.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pynetdicom==3.0.4 pydicom==3.0.2
"$folder/venv/bin/python" - <<'PY'
from pydicom.uid import UID_dictionary
from pynetdicom import AE, _config

_config.UNRESTRICTED_STORAGE_SERVICE = True
server = AE().start_server(("127.0.0.1", 0), block=False)
port = server.socket.getsockname()[1]
# by the standard's own names (PS3.6 table A-1), as pydicom has them
classes = {
    uid: name
    for uid, (name, kind, *_rest) in UID_dictionary.items()
    if name and kind in ("SOP Class", "Meta SOP Class") and "Storage" not in name.replace("Storage Commitment", "")
    and "Image" not in name.split(" - ")[0].replace("Image Box", "").replace("Image Overlay", "")
}
accepted = []
for start in range(0, len(classes), 100):
    ae = AE()
    for uid in list(classes)[start : start + 100]:
        ae.add_requested_context(uid)
    association = ae.associate("127.0.0.1", port)
    assert association.is_established
    accepted += [str(context.abstract_syntax) for context in association.accepted_contexts]
    association.release()
server.shutdown()
for uid in sorted(accepted):
    print(f"accepted: {uid:<32} {classes[uid]}")
print(f"{len(accepted)} of {len(classes)}")
assert len(accepted) == 36
assert "1.2.840.10008.5.1.4.31" in accepted  # Modality Worklist Information Model - FIND
assert "1.2.840.10008.5.1.4.1.2.2.1" not in accepted  # Study Root Query/Retrieve - FIND
PY
