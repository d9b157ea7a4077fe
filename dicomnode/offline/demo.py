"""`dicomnode demo`: the whole way on real CT, with a stand-in PACS and a node of its own.

The node runs as `dicomnode serve` does in a hospital: its own processes, its own configuration
file and data directory, all below the output folder. Nothing is faked: what is shown is read from
the node's database by the same queries as `dicomnode queue`.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from dicomnode.config.destinations import Peer
from dicomnode.config.reading import load_settings
from dicomnode.config.settings import Settings
from dicomnode.decisions.reasons import failed_rules
from dicomnode.decisions.wording import how_many
from dicomnode.dicom_files.identity import identify_file
from dicomnode.errors import ConfigurationError, NodeError
from dicomnode.network.associations import echo
from dicomnode.network.send import send_files
from dicomnode.offline.demo_outcome import export_results, print_summary
from dicomnode.offline.demo_pacs import StandInPacs, stand_in_pacs
from storage import queries
from storage.database import Database
from storage.records import OPEN_SERIES, JobKind, JobState, SeriesDetail, SeriesState

SHIPPED_DATA = Path(__file__).resolve().parents[2] / "tests" / "data" / "ct"
_MARKER = ".dicomnode-demo"
_SENDER = "DEMOSENDER"
_START_SECONDS = 120.0
_RUN_SECONDS = 600.0
_LOOK_SECONDS = 0.3

_CONFIG = """\
# Made by `dicomnode demo`. Try: dicomnode queue list --config {file}
[node]
ae_title = "DICOMNODE"
data_directory = "node"

[receive]
address = "127.0.0.1"
port = {port}

[receive.admission]
peers = [{{ ae_title = "*", networks = ["127.0.0.1"] }}]  # only this machine

[completeness]
quiet_seconds = 2.0

[eligibility]
# The demo's own policy: the shipped chest CT has slices of 5 mm. The default is 3.0.
max_slice_thickness_mm = 5.0

[inference]
# The weights that come with the node have no clinical meaning; without this it does not serve.
allow_demonstration_model = true

[[destinations]]
name = "pacs"
ae_title = "{pacs.ae_title}"
address = "{pacs.address}"
port = {pacs.port}
"""


_USUAL = Settings().eligibility.max_slice_thickness_mm

_LOOK = """\
look at its queue: {program} queue list --config {file}
with a PACS of your own: etc/docs/first-hour.md"""


@dataclass(frozen=True)
class SentSeries:
    """One series of the demo, by the name of its folder."""

    name: str
    series_instance_uid: str
    files: tuple[Path, ...]


def run_demo(out: Path, data: Path | None, pacs: str | None, console: Console) -> int:
    """Show the node at its job; 0 when every series ended explained and all results arrived.

    Raises:
        NodeError: the data is missing, the PACS cannot be reached, or the node does not start.
    """
    series = series_in(data or SHIPPED_DATA)
    folder = _fresh_folder(out)
    with ExitStack() as stack:
        if pacs is None:
            received, destination = stack.enter_context(stand_in_pacs(folder / "pacs"))
            console.print(f"stand-in PACS: {destination.ae_title} on port {destination.port}")
        else:
            received, destination = None, parse_peer(pacs)
            echo(destination, _SENDER)
            console.print(f"PACS: {destination.ae_title} answers C-ECHO")
        settings = _configure(folder, destination)
        stack.enter_context(_running_node(folder, settings, console))
        _send_all(series, settings, console)
        details = _watch(series, settings, console)
        missing = _missing(details, received)
        names = {each.series_instance_uid: each.name for each in series}
        export_results(names, details, settings, folder, console)
        print_summary(console, names, details)
        _tell_what_next(folder, console)
    if missing:
        console.print(f"{how_many(missing, 'result')} did not arrive at the PACS", style="red")
    explained = all(detail.series.state not in OPEN_SERIES for detail in details.values())
    return 0 if explained and not missing else 1


def _tell_what_next(folder: Path, console: Console) -> None:
    program = os.path.relpath(Path(sys.executable).with_name("dicomnode"))
    told = _LOOK.format(program=program, file=os.path.relpath(folder / "dicomnode.toml"))
    console.print(told, highlight=False, soft_wrap=True)


def series_in(folder: Path) -> tuple[SentSeries, ...]:
    """Each sub-folder with DICOM files is a series."""
    found = []
    for sub in sorted(folder.glob("*/")):
        files = tuple(sorted(sub.glob("*.dcm")))
        if files:
            found.append(
                SentSeries(sub.name, identify_file(files[0])[0].series_instance_uid, files)
            )
    if not found:
        raise ConfigurationError(
            f"no CT to send: {folder} has no folder with *.dcm files (run the demo from a "
            "checkout of the project, or give --data FOLDER)"
        )
    return tuple(found)


def parse_peer(text: str) -> Peer:
    """HOST:PORT:AET as a peer."""
    parts = text.rsplit(":", 2)
    if len(parts) != 3 or not parts[1].isdigit():
        raise ConfigurationError(f"--pacs {text}: HOST:PORT:AET is wanted")
    host, port, ae_title = parts
    try:
        return Peer(name="pacs", address=host, port=int(port), ae_title=ae_title)
    except ValueError as error:
        raise ConfigurationError(f"--pacs {text}: {error}") from error


def _fresh_folder(out: Path) -> Path:
    """The output folder, without what an earlier demo left; a folder of anything else is kept."""
    folder = out.absolute()
    marker = folder / _MARKER
    if folder.exists() and not marker.is_file() and any(folder.iterdir()):
        raise ConfigurationError(f"{folder} holds something that no demo left there")
    folder.mkdir(parents=True, exist_ok=True)
    marker.write_text("Made by `dicomnode demo`, which empties this folder when it is run again.\n")
    for name in ("pacs", "node", "results"):
        shutil.rmtree(folder / name, ignore_errors=True)
    return folder


def _configure(folder: Path, destination: Peer) -> Settings:
    file = folder / "dicomnode.toml"
    file.write_text(_CONFIG.format(file=file.name, port=_free_port(), pacs=destination))
    return load_settings(file)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Whether somebody listens on a port of the loopback interface."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _node_as_peer(settings: Settings) -> Peer:
    receive = settings.receive
    return Peer(
        name="node", ae_title=settings.node.ae_title, address=receive.address, port=receive.port
    )


@contextmanager
def _running_node(folder: Path, settings: Settings, console: Console) -> Iterator[None]:
    """`dicomnode serve` as a process of its own, until the end of the demo."""
    with (folder / "node.log").open("w") as log:
        command = [sys.executable, "-m", "dicomnode", "serve"]
        command += ["--config", str(folder / "dicomnode.toml")]
        node = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            _await_node(node, settings, folder)
            console.print(f"node: {settings.node.ae_title} on port {settings.receive.port}")
            limit = settings.eligibility.max_slice_thickness_mm
            console.print(
                f"limit for this demo: slices of {limit:g} mm; a node's own is {_USUAL:g}"
            )
            yield
        finally:
            node.terminate()
            node.wait(timeout=20)


def _await_node(node: subprocess.Popen[bytes], settings: Settings, folder: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and node.poll() is None:
        if listens(settings.receive.port):
            echo(_node_as_peer(settings), _SENDER)
            return
        time.sleep(_LOOK_SECONDS)
    raise NodeError(f"the node did not start; {folder / 'node.log'} says why")


def _send_all(series: Sequence[SentSeries], settings: Settings, console: Console) -> None:
    for each in series:
        started = time.perf_counter()
        sent = sum(1 for _ in send_files(each.files, _node_as_peer(settings), _SENDER))
        took = time.perf_counter() - started
        console.print(f"sent {each.name}: {sent} instances, all answered 0x0000, {took:.1f} s")


def _watch(
    series: Sequence[SentSeries], settings: Settings, console: Console
) -> dict[str, SeriesDetail]:
    """Show each change until every series has ended and every result is delivered."""
    database = Database.open(settings.database_url)
    shown: dict[str, str] = {}
    deadline = time.monotonic() + _RUN_SECONDS
    while True:
        details = _details(database, series)
        for each in series:
            detail = details.get(each.series_instance_uid)
            now = "not indexed yet" if detail is None else _stage(detail)
            if shown.get(each.name) != now:
                shown[each.name] = now
                console.print(f"{time.strftime('%H:%M:%S')} {each.name}: {now}", highlight=False)
        if time.monotonic() > deadline or _all_done(details, len(series)):
            database.close()
            return details
        time.sleep(_LOOK_SECONDS)


def _details(database: Database, series: Sequence[SentSeries]) -> dict[str, SeriesDetail]:
    with database.read() as session:
        found = {
            each.series_instance_uid: queries.series_detail(session, each.series_instance_uid)
            for each in series
        }
    return {uid: detail for uid, detail in found.items() if detail is not None}


def _stage(detail: SeriesDetail) -> str:
    record = detail.series
    if record.state is SeriesState.ANALYSED:
        done = sum(each.arrived for each in detail.deliveries)
        return f"analysed, {done} of {len(detail.deliveries)} results delivered"
    if any(job.kind is JobKind.ANALYSE and job.state is JobState.RUNNING for job in detail.jobs):
        return "is being analysed"
    failed = failed_rules(record.reasons)
    text = f": {', '.join(failed)}" if failed else ""
    return f"{record.state.value}, {how_many(record.instance_count, 'instance')}{text}"


def _all_done(details: Mapping[str, SeriesDetail], count: int) -> bool:
    return len(details) == count and all(
        detail.series.state not in OPEN_SERIES and all(each.arrived for each in detail.deliveries)
        for detail in details.values()
    )


def _missing(details: Mapping[str, SeriesDetail], received: StandInPacs | None) -> int:
    """How many results are not at the PACS: undelivered, or answered but not kept by it."""
    deliveries = [each for detail in details.values() for each in detail.deliveries]
    undelivered = sum(not each.arrived for each in deliveries)
    if received is None:
        return undelivered
    return sum(each.result.sop_instance_uid not in received.received for each in deliveries)
