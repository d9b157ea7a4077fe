"""A Storage SCP as pynetdicom's documentation has it, at its quickest: raw bytes, large PDUs.

`python tests/benchmarks/plain_pynetdicom.py PORT FOLDER`; the files are written to FOLDER.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]


def serve(port: int, folder: Path) -> None:
    def on_store(event: evt.Event) -> int:
        (folder / f"{event.file_meta.MediaStorageSOPInstanceUID}.dcm").write_bytes(
            event.encoded_dataset()
        )
        return 0x0000

    ae = AE("PLAIN")
    ae.maximum_pdu_size = 131072
    ae.maximum_associations = 64
    ae.supported_contexts = AllStoragePresentationContexts
    ae.add_supported_context(Verification)
    handlers: list[evt.EventHandlerType] = [(evt.EVT_C_STORE, on_store)]
    ae.start_server(("127.0.0.1", port), block=True, evt_handlers=handlers)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("folder", type=Path)
    asked = parser.parse_args()
    serve(asked.port, asked.folder)
