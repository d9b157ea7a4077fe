#!/usr/bin/env bash
# A handler of pynetdicom's EVT_REQUESTED decides who may open an association, and writes down whom it
# turned away. It reads the calling AE title where it stands later: association.requestor.ae_title.
#
# Guess before the run: the title of who asks, as the event comes once the request has been read.
# Seen (pynetdicom 3.0.4): at EVT_REQUESTED it is empty, and it stays so for an association that the
#   handler rejects; at EVT_ACCEPTED it is there. At both it stands in requestor.primitive.calling_ae_title.
#   A log of refusals that reads the former names nobody.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pynetdicom==3.0.4 pydicom==3.0.2
"$folder/venv/bin/python" - <<'PY'
from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification

seen: dict[str, tuple[str, str]] = {}


def look(event: evt.Event) -> None:
    asks = event.assoc.requestor
    seen[event.event.name] = (asks.ae_title, asks.primitive.calling_ae_title)


scp = AE("SCP")
scp.add_supported_context(Verification)
handlers = [(evt.EVT_REQUESTED, look), (evt.EVT_ACCEPTED, look)]
server = scp.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
scu = AE("CT1")
scu.add_requested_context(Verification)
association = scu.associate("127.0.0.1", server.socket.getsockname()[1])
assert association.is_established
association.release()
server.shutdown()
for name, (title, of_the_request) in seen.items():
    print(f"{name}: requestor.ae_title {title!r}, primitive.calling_ae_title {of_the_request!r}")
assert seen == {"EVT_REQUESTED": ("", "CT1"), "EVT_ACCEPTED": ("CT1", "CT1")}, seen
PY
