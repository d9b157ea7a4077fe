#!/usr/bin/env bash
# dicomweb-client stores an instance at a server that refuses it, and says so as PS3.18 10.5.3 has it:
# status 202 or 409 and a data set with FailedSOPSequence.
#
# Guess before the run: store_instances returns that data set for 202, however the media type is
#   written, and for 409 raises an error that holds it.
# Seen (dicomweb-client 0.61.2, pydicom 3.0.2, requests as pip resolves it): 202 with Content-Type
#   "application/dicom+json" gives the failure. The same with "; charset=utf-8" behind it gives an empty
#   data set, as a server gives that has stored everything: the types are compared as whole strings.
#   409 raises HTTPError before the body is looked at; it is in error.response, undecoded.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check dicomweb-client==0.61.2 pydicom==3.0.2
"$folder/venv/bin/python" -W ignore - <<'PY'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from requests import HTTPError

UID = "2.25.1"
answer = {}


class Server(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                self.rfile.read(size + 2)
        else:
            self.rfile.read(int(self.headers["Content-Length"]))
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CTImageStorage, UID
        item.FailureReason = 0xA700  # out of resources
        failed = Dataset()
        failed.FailedSOPSequence = [item]
        body = json.dumps(failed.to_json_dict()).encode()
        self.send_response(answer["status"])
        self.send_header("Content-Type", answer["type"])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = DICOMwebClient(f"http://127.0.0.1:{server.server_port}")
image = Dataset()
image.file_meta = FileMetaDataset()
image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID = CTImageStorage
image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID = UID
image.StudyInstanceUID, image.SeriesInstanceUID = "2.25.2", "2.25.3"


def told(status: int, media_type: str) -> str:
    answer.update(status=status, type=media_type)
    try:
        found = client.store_instances([image])
    except HTTPError as error:
        return f"{type(error).__name__}, its body undecoded: {'00081198' in error.response.text}"
    return f"{len(found.get('FailedSOPSequence', []))} failed"


seen = [
    told(202, "application/dicom+json"),
    told(202, "application/dicom+json; charset=utf-8"),
    told(409, "application/dicom+json"),
]
print(*seen, sep="\n")
server.shutdown()
assert seen == ["1 failed", "0 failed", "HTTPError, its body undecoded: True"]
PY
