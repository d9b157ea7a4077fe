"""What a node tells of itself holds no patient's identity, but where it must.

A series whose every header is an identity goes through a real node with everything that can be
told of it: refused and stored, analysed and skipped, sent, withdrawn by command. Then all that the
node wrote is read, file by file, and all that its commands and its page show.
"""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from dicomnode.errors import PeerError
from dicomnode.network.associations import echo
from support.audit_file import event_of, messages
from support.node import Node, free_port
from support.pacs import running_pacs
from support.phantom import series_uid, write_series
from support.untrained import make_untrained_bundle
from support.wait import PATIENCE_SECONDS, wait_for

pytestmark = pytest.mark.long

PLANTED = {
    "PatientName": "ZQPLANTEDNAME^JANE",
    "PatientID": "ZQPLANTEDID4711",
    "OtherPatientIDs": "ZQPLANTEDOTHERID",
    "PatientBirthDate": "19480229",
    "PatientAddress": "ZQPLANTEDSTREET 7",
    "PatientComments": "ZQPLANTEDCOMMENT",
    "AccessionNumber": "ZQACCESSION42",
    "ReferringPhysicianName": "ZQPLANTEDDOCTOR",
    "OperatorsName": "ZQPLANTEDOPERATOR",
    "InstitutionName": "ZQPLANTEDHOSPITAL",
    "InstitutionAddress": "ZQPLANTEDPLACE",
    "StationName": "ZQPLANTEDSTATION",
    "DeviceSerialNumber": "ZQPLANTEDSERIAL",
    "StudyDescription": "ZQPLANTEDSTUDY",
    "SeriesDescription": "ZQPLANTEDSERIES",
    "StudyID": "ZQPLANTEDSID",
}
"""Values that stand nowhere else: whatever shows one shows what it may not."""

SECRETS = sorted({value.split("^")[0] for value in PLANTED.values()})

ALLOWED = {
    "data/instances": "the instances themselves, as they came",
    "data/results": "result objects bear the identity of their study (PS3.3 C.7.1.1)",
    "data/node.sqlite3": "the queue finds a series by its accession number, and a rule may quote a "
    "description; it holds no name, ID or date of birth",
}
"""Where an identity may stand, under the node's folder, and why."""

IN_THE_DATABASE = {"ZQACCESSION42", "ZQPLANTEDSTUDY", "ZQPLANTEDSERIES"}


@dataclass
class Lived:
    """A node that has seen it all, and has ended; `shown`: what commands and its page showed."""

    node: Node
    uid: str
    shown: dict[str, bytes]


def _plant(data_set: Dataset, _number: int) -> None:
    for keyword, value in PLANTED.items():
        setattr(data_set, keyword, value)


def _plant_contrast(data_set: Dataset, number: int) -> None:
    """A series that is skipped, for what somebody typed."""
    _plant(data_set, number)
    data_set.ContrastBolusAgent = "ZQPLANTEDAGENT"


def _broken(data_set: Dataset, number: int) -> None:
    """One that no receiver takes: its study is not named."""
    _plant(data_set, number)
    del data_set.StudyInstanceUID


def _run(node: Node, *arguments: str) -> bytes:
    command = [sys.executable, "-m", "dicomnode", *arguments, "--config", str(node.config)]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE_SECONDS, check=False)
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    folder = tmp_path_factory.mktemp("lived")
    files = write_series(folder / "ct", change=_plant)
    skipped = write_series(folder / "skipped", seed=1, change=_plant_contrast)
    http = free_port()
    toml = (
        "[completeness]\nquiet_seconds = 0.5\n[results]\nkey_slices = 1\n"
        f"[http]\nport = {http}\n[inference]\n"
    )
    with running_pacs() as pacs:
        node = Node(
            folder / "node", [pacs.destination], toml, models=make_untrained_bundle(folder / "w")
        )
        node.config.write_text(
            node.config.read_text().replace(
                "allow_any = true",
                'peers = [{ ae_title = "TESTER", networks = ["127.0.0.1"] }]',
            )
        )
        try:
            yield _live(node, files, skipped, http)
        finally:
            node.close()


def _live(node: Node, files: list[Path], skipped: list[Path], http: int) -> Lived:
    node.start()
    with pytest.raises(PeerError):
        echo(node.peer, "STRANGER")
    _send_what_is_refused(node)
    node.send(files)
    node.send(skipped)
    uid = series_uid(files)
    node.wait_until_ended(uid)
    node.wait_until_ended(series_uid(skipped))
    shown = {
        " ".join(each): _run(node, *each)
        for each in (
            ("audit", "list"),
            ("audit", "flights"),
            ("audit", "flights", "--json"),
            ("audit", "flights", "--csv"),
            ("audit", "flights", "--verify"),
            ("results", "retract", uid, "--yes"),
            ("replay", uid),
            ("status",),
        )
    }
    for page in ("metrics", "healthz", "readyz", ""):
        shown[f"/{page}"] = _page(http, page)
    wait_for(lambda: "association of TESTER" in node.log, "the line of an association")
    assert node.stop() == 0
    return Lived(node, uid, shown)


def _send_what_is_refused(node: Node) -> None:
    broken = write_series(node.folder.parent / "broken", slices=1, seed=2, change=_broken)
    with pytest.raises(PeerError, match="0xC000"):
        node.send(broken)


def _page(port: int, page: str) -> bytes:
    url = f"http://127.0.0.1:{port}/{page}"
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        return bytes(error.read())


def _found(content: bytes) -> list[str]:
    return [each for each in SECRETS if each.encode() in content]


def test_no_file_of_the_node_holds_an_identity_but_where_it_must(lived: Lived) -> None:
    folder = lived.node.folder
    told, looked = {}, 0
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        assert _found(name.encode()) == [], "a path names it"
        if path.is_file() and not name.startswith(("data/instances/", "data/results/")):
            looked += 1
            if found := _found(path.read_bytes()):
                told[name] = found
    assert looked > 5
    database = {name: found for name, found in told.items() if name.startswith("data/node.sqlite3")}
    assert {each for found in database.values() for each in found} <= IN_THE_DATABASE
    assert told == database


def test_the_instances_and_results_do_hold_it_so_the_search_finds_what_is_there(
    lived: Lived,
) -> None:
    folder = lived.node.folder / "data"
    for name in ("instances", "results"):
        files = list((folder / name).rglob("*.dcm"))
        assert files
        assert "ZQPLANTEDID4711" in {s for each in files for s in _found(each.read_bytes())}


def test_no_command_and_no_page_shows_one(lived: Lived) -> None:
    assert [name for name, content in lived.shown.items() if _found(content)] == []
    assert b"Traceback" not in b"".join(lived.shown.values())


def test_what_was_to_be_told_was(lived: Lived) -> None:
    """The scan proves nothing of a node that says nothing."""
    log = lived.node.log
    assert "starts, configured by" in log
    assert "association refused from 127.0.0.1, calling 'STRANGER'" in log
    assert "12 instances" in log
    assert "1 refused (0x" in log
    assert f"series {lived.uid}: analysed" in log
    assert "objects stored (0x0000)" in log
    assert "flight records: the last is" in log
    kinds = {event_of(each) for each in messages(lived.node.settings.audit_file)}
    assert kinds == {
        "Application Activity",
        "DICOM Instances Transferred",
        "DICOM Instances Accessed",
        "Security Alert",
    }
    assert b"1 record, no breaks" in lived.shown["audit flights --verify"]
    assert b"the same findings" in lived.shown["replay " + lived.uid]


def test_every_line_of_the_log_is_ours(lived: Lived) -> None:
    """Whatever a library prints by itself would have another form."""
    form = (
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (DEBUG|INFO|WARNING|ERROR|CRITICAL) +[a-z0-9-]+\["
    )
    strange = [line for line in lived.node.log.splitlines() if not re.match(form, line)]
    assert strange == []
