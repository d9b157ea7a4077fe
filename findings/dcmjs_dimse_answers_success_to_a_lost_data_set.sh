#!/usr/bin/env bash
# A data set of eight elements is sent in Deflated Explicit VR Little Endian to a Storage SCP of
# dcmjs-dimse that accepts this transfer syntax, as its own example accepts any.
#
# Guess before the run: two elements of it are kept and 0x0000 is answered, as an earlier trial had shown.
# Seen (dcmjs-dimse 0.3.3 on Node.js 20, sent by pynetdicom 3.0.4 and pydicom 3.0.2): one element, whose
#   tag (8D85,0AB1) was never sent: the deflated bytes are parsed as they are. "Invalid vr type" is
#   printed, no error is raised, and the answer is 0x0000. In Explicit VR Little Endian the same data set
#   arrives whole. A sender that believes the status has lost its object: send nothing deflated unasked.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$folder"' EXIT
command -v npm > /dev/null || { echo "needs npm and Node.js" >&2; exit 2; }
npm install --prefix "$folder" --no-audit --no-fund --no-save --silent dcmjs-dimse@0.3.3
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pynetdicom==3.0.4 pydicom==3.0.2
cd "$folder"
cat > server.js <<'JS'
const { Server, Scp, log, responses, constants } = require('dcmjs-dimse');
log.setLevel('silent');
class Keeper extends Scp {
  associationRequested(association) {
    for (const { id } of association.getPresentationContexts()) {
      const context = association.getPresentationContext(id);
      context.setResult(constants.PresentationContextResult.Accept, context.getTransferSyntaxUids()[0]);
    }
    this.sendAssociationAccept();
  }
  cStoreRequest(request, callback) {
    const names = Object.keys(request.getDataset().getElements());
    console.log(JSON.stringify(names.filter((name) => !name.startsWith('_'))));
    const response = responses.CStoreResponse.fromRequest(request);
    response.setStatus(constants.Status.Success);
    callback(response);
  }
  associationReleaseRequested() {
    this.sendAssociationReleaseResponse();
  }
}
const server = new Server(Keeper);
server.on('networkError', () => {});
server.listen(Number(process.argv[2]));
JS
port=$(venv/bin/python -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
NODE_PATH="$folder/node_modules" timeout 100 node server.js "$port" > kept &
server=$!
venv/bin/python - "$port" <<'PY'
import json
import sys
import time
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian
from pynetdicom import AE

ROOT = "1.2.826.0.1.3680043.8.498.91"


def send(syntax: str, number: int) -> int:
    ct = Dataset()
    ct.file_meta = FileMetaDataset()
    ct.file_meta.TransferSyntaxUID = syntax
    ct.SOPClassUID, ct.SOPInstanceUID = CTImageStorage, f"{ROOT}.3.{number}"
    ct.StudyInstanceUID, ct.SeriesInstanceUID = f"{ROOT}.1", f"{ROOT}.2"
    ct.PatientID, ct.PatientName, ct.Modality, ct.InstanceNumber = "ID-A", "Patient^A", "CT", number
    ae = AE()
    ae.add_requested_context(CTImageStorage, syntax)
    deadline = time.monotonic() + 60
    while not (association := ae.associate("127.0.0.1", int(sys.argv[1]))).is_established:
        assert time.monotonic() < deadline, "dcmjs-dimse does not listen"
        time.sleep(0.2)
    status = association.send_c_store(ct).Status
    association.release()
    return status


statuses = [send(ExplicitVRLittleEndian, 1), send(DeflatedExplicitVRLittleEndian, 2)]
kept = [json.loads(line) for line in Path("kept").read_text().splitlines()]
for name, status, elements in zip(("explicit", "deflated"), statuses, kept, strict=True):
    print(f"{name}: answered 0x{status:04X}, kept {len(elements)}: {elements}")
assert statuses == [0x0000, 0x0000]
assert len(kept[0]) == 8 and "PatientID" in kept[0]
assert len(kept[1]) == 1 and "PatientID" not in kept[1]
PY
