"""How long results take to a PACS: beside a dead one, and after an outage.

    python tests/benchmarks/deliver.py --outage 600 --scale 20 --before ../dicomnode-of-before

The deliverer runs as in a node, on a real database, files and sockets; what it delivers, a report
of 1 kB and a picture of 1 MB for each series, is put into its outbox while it runs.

Beside a dead one: two destinations, one of them dead for the whole time; measured is how long each
object takes to the other, from the commit that enters it to its arrival. After an outage: one
destination, where nobody listens for a while; series enter evenly meanwhile; measured is the time
from its coming back to the arrival of the last object. `--scale 20` shortens the outage, and all
delays of `[delivery.retry]`, twenty times, and tells the times multiplied by it: what does not
scale, the sending itself and the look at the outbox each half a second, is told too long then.
`--before`: another checkout of this repository, to be measured in the same way.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
PATIENCE_SECONDS = 1800.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--series", type=int, default=20, help="for each row")
    parser.add_argument("--outage", type=float, default=600.0, help="seconds")
    parser.add_argument("--scale", type=float, default=20.0, help="by what time runs faster")
    parser.add_argument("--before", type=Path, help="an older checkout")
    parser.add_argument("--only", choices=["dead", "outage"], help="one of the two tables")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--tree", type=Path, default=HERE.parents[2], help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.case:
        sys.path[:0] = [str(given.tree), str(given.tree / "tests")]
        print(json.dumps(_measured(given)))
        return
    trees = {"now": HERE.parents[2]} | ({"before": given.before} if given.before else {})
    if given.only != "outage":
        print("| code | the other destination | objects | median delay, s | longest, s |")
        print("|---|---|---|---|---|")
        for code, tree in trees.items():
            for case in ("alive", "refuses", "silent"):
                found = _in_a_process(given, case, tree)
                row = f"{found['median']:.2f} | {found['longest']:.2f}"
                print(f"| {code} | {case} | {found['objects']} | {row} |", flush=True)
        print()
    if given.only != "dead":
        print("| code | outage, s | time ran | objects | from back to the last, s | tried |")
        print("|---|---|---|---|---|---|")
        for code, tree in trees.items():
            found = _in_a_process(given, "outage", tree)
            row = f"{found['objects']} | {found['all']:.1f} | {found['tried']} times"
            print(f"| {code} | {given.outage:g} | {given.scale:g} x | {row} |", flush=True)


def _in_a_process(given: argparse.Namespace, case: str, tree: Path) -> dict[str, Any]:
    """Each with the code of its own checkout."""
    command = [sys.executable, str(HERE), "--case", case, "--tree", str(tree.resolve())]
    command += ["--series", str(given.series), "--outage", str(given.outage)]
    done = subprocess.run(
        [*command, "--scale", str(given.scale)], stdout=subprocess.PIPE, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _measured(given: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="deliver-") as folder, ExitStack() as stack:
        node = _Node(Path(folder), 1.0 if given.case != "outage" else given.scale)
        if given.case == "outage":
            return _after_outage(node, given)
        stack.enter_context(_pacs(node.ports["PACS"], node))
        if given.case == "alive":
            stack.enter_context(_pacs(node.ports["OTHER"], None))
        elif given.case == "silent":
            silent = socket.create_server(("127.0.0.1", node.ports["OTHER"]))
            stack.enter_context(silent)
        return _beside(node, given.series)


def _beside(node: _Node, series: int) -> dict[str, Any]:
    with node.delivering("PACS", "OTHER"):
        for number in range(series):
            node.enter(number, "PACS", "OTHER")
            time.sleep(0.25)
        node.await_all()
    delays = [node.arrived[uid] - moment for uid, moment in node.entered.items()]
    return {
        "objects": len(delays),
        "median": statistics.median(delays),
        "longest": max(delays),
    }


def _after_outage(node: _Node, given: argparse.Namespace) -> dict[str, Any]:
    length = given.outage / given.scale
    door = _Door(node.ports["PACS"])
    with node.delivering("PACS"):
        began = time.monotonic()
        for number in range(given.series):
            _sleep_until(began + length * number / given.series)
            node.enter(number, "PACS")
        _sleep_until(began + length)
        tried = door.close()
        with _pacs(node.ports["PACS"], node):
            back = time.monotonic()
            node.await_all()
    last = max(node.arrived.values()) - back
    return {"objects": len(node.entered), "all": last * given.scale, "tried": tried}


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


class _Node:
    """A data directory, and what entered its outbox and arrived, by the seconds of this machine."""

    def __init__(self, folder: Path, scale: float) -> None:
        from dicomnode.config.destinations import Destination
        from dicomnode.config.sections import DeliverySettings, NodeSettings
        from dicomnode.config.settings import Settings
        from dicomnode.decisions.retry import RetryPolicy

        retry = RetryPolicy()
        keys = ("first_delay_seconds", "longest_delay_seconds", "longest_probe_seconds")
        faster = {key: getattr(retry, key) / scale for key in keys if hasattr(retry, key)}
        self.ports = {name: _free_port() for name in ("PACS", "OTHER")}
        self._places = {
            name: Destination(name=name, ae_title=name, address="127.0.0.1", port=port)
            for name, port in self.ports.items()
        }
        self._settings = Settings(
            node=NodeSettings(data_directory=folder),
            delivery=DeliverySettings(retry=replace(retry, **faster)),
        )
        self.entered: dict[str, float] = {}
        self.arrived: dict[str, float] = {}

    @contextmanager
    def delivering(self, *names: str) -> Iterator[None]:
        from dicomnode.deliver import deliverer
        from storage.database import Database

        places = tuple(self._places[name] for name in names)
        settings = self._settings.model_copy(update={"destinations": places})
        stop = threading.Event()
        self._database = Database.open(settings.database_url)
        arguments = (settings, "node/deliverer/1/", stop)
        thread = threading.Thread(target=deliverer.run, args=arguments)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            self._database.close()

    def enter(self, number: int, *destinations: str) -> None:
        """A series of a study of its own, with two results, as its analysis leaves it."""
        from storage.results import ResultFiles
        from support.storage_samples import SC, SR, analyse, instance, queue, receive, result

        series, now = f"1.2.826.{number + 1}", datetime.now(UTC)
        files, results = ResultFiles(self._settings.result_files), []
        for kind, sop_class in ((1, SR), (2, SC)):
            record = result(f"{number + 1}.{kind}", series, sop_class)
            uid = record.sop_instance_uid
            path = files.store(series, uid, _object(sop_class, uid))
            results.append(replace(record, path=path))
        first = replace(instance(1, series), study_instance_uid=f"{series}.1")
        receive(self._database, first)
        queue(self._database, now=now)
        analyse(self._database, results, destinations, now)
        self.entered |= {each.sop_instance_uid: time.monotonic() for each in results}

    def await_all(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(self.arrived) < len(self.entered):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(self.entered) - len(self.arrived)} did not arrive")
            time.sleep(0.01)


def _object(sop_class: str, uid: str) -> bytes:
    """A Part 10 file; that of a picture has a megabyte."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian, SecondaryCaptureImageStorage

    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = sop_class, uid
    made.file_meta = FileMetaDataset()
    made.file_meta.MediaStorageSOPClassUID = UID(sop_class)
    made.file_meta.MediaStorageSOPInstanceUID = UID(uid)
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if sop_class == SecondaryCaptureImageStorage:
        made.BitsAllocated = 8
        made.PixelData = bytes(1 << 20)
    content = BytesIO()
    made.save_as(content, enforce_file_format=True)
    return content.getvalue()


@contextmanager
def _pacs(port: int, node: _Node | None) -> Iterator[None]:
    """It takes everything, and notes in `node` when."""
    from pynetdicom import AE, AllStoragePresentationContexts, evt

    def on_store(event: evt.Event) -> int:
        if node is not None:
            uid = str(event.file_meta.MediaStorageSOPInstanceUID)
            node.arrived.setdefault(uid, time.monotonic())
        return 0x0000

    ae = AE("PACS")
    ae.supported_contexts = AllStoragePresentationContexts
    handlers: list[Any] = [(evt.EVT_C_STORE, on_store)]
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    assert server is not None
    try:
        yield
    finally:
        server.shutdown()


class _Door:
    """Closes every connection at once, and counts them."""

    def __init__(self, port: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        self._count = 0
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                connection.close()
                self._count += 1

    def close(self) -> int:
        """How many there were."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        return self._count


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
