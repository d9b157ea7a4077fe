"""A campaign of a large archive, killed and taken up again; its table is compared with the truth.

    python tests/benchmarks/archive.py --series 100000 --real 200 --rate 10 --kills 5

An Orthanc has real series, drawn chests of 12 slices: of each ten six are fit, two show
no lungs, and two are thick. A node on PostgreSQL (with fsync) receives by C-MOVE and analyses them
with untrained weights. Beside those that the campaign finds by C-FIND so many rows of synthetic
series are entered, a thousand a second, as if further windows had been asked for; of them no
archive knows, and their tags are told from their number: they fall by thickness, as localizers, or
as derived. `dicomnode campaign run` is killed (SIGKILL) at random moments of the first half and
begun again; a query keeps its snapshot from before the first row until the end.

The truth: of the real series what `dicomnode process` says of their folder: states, rules, scores;
of the synthetic ones their rule. Images are counted by a proxy between Orthanc and the node. Told,
too: how many rows were looked at in the best ten seconds, and the time left as `campaign status`
told it, beside what it was. Exit status 1 where the table is not the truth, or the archive sent
more than it may: in any 10 s the rate, and two portions of two seconds.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[2]), str(HERE.parents[1])]

import pydicom  # noqa: E402
from pydicom.dataset import Dataset  # noqa: E402
from sqlalchemy import text  # noqa: E402

from dicomnode.campaign.sources import ArchiveSource  # noqa: E402
from dicomnode.campaign.standing import look as look_at_campaign  # noqa: E402
from dicomnode.cli.main import main as command_line  # noqa: E402
from dicomnode.config.destinations import Destination  # noqa: E402
from dicomnode.decisions.campaign.tags import judge_tags  # noqa: E402
from dicomnode.decisions.reasons import Reason  # noqa: E402
from dicomnode.dicom_files.headers import read_header  # noqa: E402
from storage import campaign_series, campaigns  # noqa: E402
from storage.campaign_records import FoundClaim, FoundState, NewFound  # noqa: E402
from storage.database import Database  # noqa: E402
from support import postgresql  # noqa: E402
from support.command import dicomnode  # noqa: E402
from support.counting_proxy import CountingProxy, counting  # noqa: E402
from support.node import Node, free_port  # noqa: E402
from support.orthanc import Orthanc, running_orthanc  # noqa: E402
from support.phantom import write_series  # noqa: E402
from support.untrained import make_untrained_bundle  # noqa: E402

_GHOST = "1.2.826.0.1.3680043.2.1"
_KINDS = ("slice_thickness",) * 6 + ("localizer",) * 2 + ("image_type",) * 2
"""The rule by which a synthetic series falls, by the last digit of its number."""

_BATCH, _SLICES, _SPAN_SECONDS, _PORTION_SECONDS = 1000, 12, 10.0, 2.0
_NAME, _PATIENCE_SECONDS, _SAMPLE_SECONDS = "c1", 3000.0, 10.0
_LOOK_SECONDS = 0.5
_QUICK = "[completeness]\nquiet_seconds = 0.5\n[results]\nkey_slices = 1\n"


@dataclass
class Run:
    """What was seen while it went on. `told`: when, and the seconds that were left then."""

    seconds: float = 0.0
    kills: int = 0
    told: list[tuple[float, float]] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, compare, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--series", type=int, default=100_000, help="synthetic rows")
    parser.add_argument("--real", type=int, default=200)
    parser.add_argument("--rate", type=float, default=10.0, help="images a second")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=None, help="of the moments of the kills")
    parser.add_argument("--work", type=Path, default=None, help="a configuration: run the campaign")
    given = parser.parse_args(arguments)
    if given.work is not None:
        _work(given.work)
        return
    seed = random.randrange(10**6) if given.seed is None else given.seed
    print(f"load {os.getloadavg()[0]:.1f}, seed {seed}", flush=True)
    before = postgresql.SETTINGS
    postgresql.SETTINGS = tuple(s for s in before if not s.startswith("fsync"))
    try:
        with tempfile.TemporaryDirectory(prefix="archive-") as folder:
            wrong = _measured(Path(folder), given, random.Random(seed))
    finally:
        postgresql.SETTINGS = before
    for line in wrong:
        print(f"WRONG: {line}")
    if wrong:
        raise SystemExit(1)


def _measured(folder: Path, given: argparse.Namespace, chance: random.Random) -> list[str]:
    port = free_port()
    models = make_untrained_bundle(folder / "models", size=32)
    with counting(port) as proxy, postgresql.postgresql_server() as server:
        place = Destination(name="node", ae_title="DICOMNODE", address="127.0.0.1", port=proxy.port)
        with running_orthanc(folder / "orthanc", place) as orthanc:
            node = Node(folder / "node", [orthanc.peer], toml=_QUICK, port=port, models=models)
            _on_server(node, server.url(postgresql.MIGRATED))
            real = _draw(folder / "real", given.real, orthanc)
            try:
                node.start()
                _create(node, given.rate)
                run = _campaign(node, given, chance)
                best, dead = _looked_at(node)
            finally:
                node.close()
            rows = _table(node, folder)
            truth = _truth(node, folder)
    _tell(given, run, proxy, best, dead)
    return _wrong(given, proxy, rows, truth, real)


def _on_server(node: Node, url: str) -> None:
    own = 'data_directory = "data"\n'
    config = node.config.read_text()
    node.config.write_text(config.replace(own, f'{own}database_url = "{url}"\n'))


def _draw(folder: Path, count: int, orthanc: Orthanc) -> dict[str, int]:
    """The last digit of the number of each series."""
    found = {}
    for number in range(count):

        def change(data_set: Dataset, _slice: int, number: int = number) -> None:
            data_set.StudyDate = f"202601{1 + number % 20:02d}"
            data_set.PatientID = f"DRAWN-{number}"
            if number % 10 in (6, 7):
                data_set.PixelData = bytes(len(data_set.PixelData))
            if number % 10 >= 8:
                data_set.SliceThickness = 5.0

        files = write_series(folder / f"{number:04d}", _SLICES, seed=number, change=change)
        for file in files:
            orthanc.upload(file)
        header = pydicom.dcmread(files[0], stop_before_pixels=True)
        found[str(header.SeriesInstanceUID)] = number % 10
    return found


def _create(node: Node, rate: float) -> None:
    days = ["--from", "2026-01-01", "--to", "2026-01-20", "--rate", f"{rate:g}"]
    made = dicomnode(
        "campaign", "create", _NAME, "--pacs", "orthanc", *days, "--config", str(node.config)
    )
    if made.returncode:
        raise SystemExit(made.stderr)


def _campaign(node: Node, given: argparse.Namespace, chance: random.Random) -> Run:
    """Until it is done."""
    run, begun = Run(), time.monotonic()
    ended = threading.Event()
    with closing(Database.open(node.settings.database_url)) as database, _open_query(database):
        beside = [
            threading.Thread(target=_enter, args=(database, given.series, ended)),
            threading.Thread(target=_sample, args=(database, run, begun, ended)),
        ]
        for each in beside:
            each.start()
        try:
            _work_and_kill(node, database, given, chance, run)
        finally:
            ended.set()
            for each in beside:
                each.join()
    run.seconds = time.monotonic() - begun
    return run


def _work_and_kill(
    node: Node,
    database: Database,
    given: argparse.Namespace,
    chance: random.Random,
    run: Run,
) -> None:
    moments = sorted(chance.sample(range(1, given.real // 2), given.kills))
    command = [sys.executable, str(HERE), "--work", str(node.config)]
    until = time.monotonic() + _PATIENCE_SECONDS
    process = _begun(command, node)
    while time.monotonic() < until:
        time.sleep(_LOOK_SECONDS)
        if moments and _had(database) >= moments[0]:
            moments.pop(0)
            time.sleep(chance.uniform(0.0, _PORTION_SECONDS))  # in whatever it does by then
            process.send_signal(signal.SIGKILL)
            process.wait()
            run.kills += 1
            process = _begun(command, node)
        if process.poll() is not None:
            if _open(database, given):
                dicomnode("campaign", "resume", _NAME, "--config", str(node.config))
                process = _begun(command, node)
                continue
            return
    process.kill()
    raise SystemExit(f"not done after {_PATIENCE_SECONDS:g} s")


def _begun(command: Sequence[str], node: Node) -> subprocess.Popen[bytes]:
    with (node.folder / "campaign.log").open("a") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)


@contextmanager
def _open_query(database: Database) -> Iterator[None]:
    with database.read() as session:
        session.execute(text("SELECT count(*) FROM campaign_series"))
        yield


def _enter(database: Database, count: int, ended: threading.Event) -> None:
    for begin in range(0, count, _BATCH):
        numbers = range(begin, min(begin + _BATCH, count))
        new = [NewFound(f"{_GHOST}.{n}", f"{_GHOST}.9.{n // 10}", "CT", 60) for n in numbers]
        with database.write() as session:
            campaign_series.enter(session, 1, new, datetime.now(UTC))
        if ended.wait(1.0):
            return


def _sample(database: Database, run: Run, begun: float, ended: threading.Event) -> None:
    while not ended.wait(_SAMPLE_SECONDS):
        standing = look_at_campaign(database, _NAME, datetime.now(UTC))
        if standing is not None and standing.outlook.left is not None:
            left = standing.outlook.left.total_seconds()
            run.told.append((time.monotonic() - begun, left))


def _had(database: Database) -> int:
    """Real series that are here or were."""
    had = (FoundState.PULLED, FoundState.ANALYSED, FoundState.SKIPPED)
    return sum(_states(database).get(state, 0) for state in had)


def _open(database: Database, given: argparse.Namespace) -> bool:
    """Whether it was done before all rows were entered."""
    states = _states(database)
    left = (FoundState.FOUND, FoundState.WANTED, FoundState.PULLED)
    return sum(states.values()) < given.series + given.real or any(states.get(s) for s in left)


def _states(database: Database) -> dict[FoundState, int]:
    with database.read() as session:
        return {s: count for s, (count, _i, _b) in campaigns.series_by_state(session, 1).items()}


def _looked_at(node: Node) -> tuple[float, int]:
    """Synthetic series that fell within the best ten seconds, for each; dead rows."""
    best = (
        "SELECT max(n) / 10.0 FROM (SELECT count(*) OVER (ORDER BY ended_at RANGE BETWEEN"
        " INTERVAL '10 seconds' PRECEDING AND CURRENT ROW) AS n FROM campaign_series"
        " WHERE state = 'fallen') AS spans"
    )
    dead = "SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'campaign_series'"
    with closing(Database.open(node.settings.database_url)) as database, database.read() as session:
        return float(session.scalar(text(best)) or 0), int(session.scalar(text(dead)) or 0)


def _table(node: Node, folder: Path) -> list[dict[str, str]]:
    """As a person exports it."""
    path = folder / "table.csv"
    done = dicomnode("campaign", "export", _NAME, "--csv", str(path), "--config", str(node.config))
    if done.returncode:
        raise SystemExit(done.stderr)
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _truth(node: Node, folder: Path) -> dict[str, dict[str, object]]:
    """What is said of each real series when its files are analysed without any node."""
    path = folder / "truth.json"
    words = ["process", str(folder / "real"), "--out", str(folder / "out"), "--json", str(path)]
    dicomnode(*words, "--config", str(node.config))
    return {each["series_instance_uid"]: each for each in json.loads(path.read_text())}


def _tell(
    given: argparse.Namespace, run: Run, proxy: CountingProxy, best: float, dead: int
) -> None:
    allowed = _allowed(given)
    print("| what | |\n|---|---|")
    print(f"| synthetic rows, real series | {given.series:,}, {given.real} |")
    print(f"| done after, with a query open all the time | {run.seconds:.0f} s |")
    print(f"| killed | {run.kills} times |")
    print(f"| images that Orthanc sent | {len(proxy.moments)} |")
    most = proxy.most_within(_SPAN_SECONDS)
    print(f"| at most in any 10 s | {most}, allowed {allowed:.0f} |")
    print(f"| looked at in the best ten seconds | {best:.0f} a second |")
    print(f"| dead rows at the end | {dead:,} |")
    for share in (0.25, 0.5, 0.75):
        at, left = min(run.told, key=lambda each: abs(each[0] - share * run.seconds))
        print(f"| told at {at:.0f} s | {left:.0f} s left; it was {run.seconds - at:.0f} |")


def _allowed(given: argparse.Namespace) -> float:
    return float(given.rate * (_SPAN_SECONDS + 2 * _PORTION_SECONDS))


def _wrong(
    given: argparse.Namespace,
    proxy: CountingProxy,
    rows: list[dict[str, str]],
    truth: dict[str, dict[str, object]],
    real: dict[str, int],
) -> list[str]:
    found = {row["series_instance_uid"]: row for row in rows}
    wrong = []
    if len(rows) != given.series + given.real or len(found) != len(rows):
        wrong.append(f"{len(rows)} rows, {len(found)} series")
    if proxy.most_within(_SPAN_SECONDS) > _allowed(given):
        wrong.append(f"{proxy.most_within(_SPAN_SECONDS)} images in 10 s")
    for number in range(given.series):
        row = found.get(f"{_GHOST}.{number}", {})
        if row.get("state") != "fallen" or _KINDS[number % 10] not in row["rules"].split("; "):
            wrong.append(f"synthetic {number}: {row}")
    states: Counter[str] = Counter()
    for uid, digit in real.items():
        row, expected = found.get(uid, {}), truth.get(uid, {})
        states[row.get("state", "absent")] += 1
        if problem := _differs(row, expected, digit):
            wrong.append(f"real {uid}: {problem}")
    print(f"| real series | {', '.join(f'{n} {state}' for state, n in states.items())} |")
    return wrong[:20]


def _differs(row: dict[str, str], truth: dict[str, object], digit: int) -> str:
    """Why a row is not what was said of the files themselves; "" where it is."""
    should = "analysed" if digit < 6 else "skipped" if digit < 8 else "fallen"
    said = "skipped" if should == "fallen" else should
    if (row.get("state"), truth.get("state")) != (should, said):
        return f"{row.get('state')} ({row.get('error')}), without a node {truth.get('state')}"
    if should != "analysed":
        reasons: list[dict[str, str]] = truth["reasons"]  # type: ignore[assignment]
        rules = {each["rule"] for each in reasons if each["verdict"] == "fail"}
        here = set(row["rules"].split("; "))
        fits = here <= rules if should == "fallen" else here == rules
        return "" if fits else f"{here}, without a node {rules}"
    findings: list[dict[str, object]] = truth["findings"]  # type: ignore[assignment]
    for each in findings:
        scores: dict[str, float] = each["scores"]  # type: ignore[assignment]
        for name, value in scores.items():
            column = ".".join(filter(None, (str(each["method"]), str(each["qualifier"] or ""))))
            if abs(float(row[f"{column}.{name}"]) - value) > 1e-6:
                return f"{name} {row[f'{column}.{name}']}, without a node {value}"
    return ""


def _work(config: Path) -> None:
    """`dicomnode campaign run`, to which the tags of synthetic series are told."""
    ask = ArchiveSource.look

    def look(self: ArchiveSource, claimed: FoundClaim) -> tuple[Reason, ...]:
        if not claimed.series_instance_uid.startswith(f"{_GHOST}."):
            return ask(self, claimed)
        return judge_tags([read_header(_tags(claimed))], claimed.instances, self._policy)

    ArchiveSource.look = look  # type: ignore[method-assign]
    words = ["campaign", "run", _NAME, "--until-empty", "--config", str(config)]
    sys.argv = ["dicomnode", *words]
    command_line()


def _tags(claimed: FoundClaim) -> Dataset:
    kind = _KINDS[int(claimed.series_instance_uid.rpartition(".")[2]) % 10]
    tags = Dataset()
    tags.Modality, tags.SeriesInstanceUID = "CT", claimed.series_instance_uid
    tags.SliceThickness = 5.0 if kind == "slice_thickness" else 1.0
    kinds = {"localizer": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}
    kinds["image_type"] = ["DERIVED", "SECONDARY", "MPR"]
    tags.ImageType = kinds.get(kind, ["ORIGINAL", "PRIMARY", "AXIAL"])
    return tags


if __name__ == "__main__":
    main()
