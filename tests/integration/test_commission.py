"""`dicomnode commission` against peers that take all, refuse some, or are away."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pynetdicom import _config
from typer.testing import CliRunner

from dicomnode.audit.reading import entries
from dicomnode.commission import dicom_peer
from dicomnode.commission.bench import prepared
from dicomnode.commission.checks import Check, Part, Result
from dicomnode.commission.run import run_checks
from dicomnode.config.destinations import AnyDestination, Destination, Peer, WebDestination
from dicomnode.config.sections import NodeSettings, ReceiveSettings
from dicomnode.config.settings import Settings
from dicomnode.data_directory.holding import only_one
from dicomnode.decisions.arrival.admission import AdmissionPolicy
from dicomnode.decisions.result_options import ResultOptions
from support.command import app
from support.commitment_pacs import (
    RESULT_CLASSES,
    CommitmentPacs,
    Told,
    running_commitment_pacs,
    silent,
)
from support.node import free_port
from support.orthanc import running_orthanc
from support.receiver import running_receiver

FEW = ResultOptions(key_slices=1)


def _settings(folder: Path, port: int, *destinations: AnyDestination) -> Settings:
    admission = AdmissionPolicy(allow_any=True)
    return Settings(
        node=NodeSettings(data_directory=folder),
        receive=ReceiveSettings(port=port, admission=admission),
        results=FEW,
        destinations=destinations,
    )


def _checks(settings: Settings, echo_seconds: float = 0.0) -> dict[str, Check]:
    """Of the destinations, by what was looked at."""
    with prepared(settings, datetime.now(UTC)) as bench:
        parts = run_checks(bench, settings.destinations, echo_seconds, lambda *_: None)
    return {each.what: each for part in parts[1:] for each in part.checks}


def _failed(checks: dict[str, Check]) -> dict[str, Check]:
    return {what: each for what, each in checks.items() if each.result is Result.FAILED}


def test_a_destination_that_does_all_passes_and_is_left_with_a_withdrawal(tmp_path: Path) -> None:
    port = free_port()
    node = Peer(name="node", ae_title="DICOMNODE", address="127.0.0.1", port=port)
    with running_commitment_pacs(pacs=CommitmentPacs(node=node), classes=RESULT_CLASSES) as pacs:
        checks = _checks(_settings(tmp_path / "data", port, pacs.destination))
        names = {str(each.PatientName) for each in pacs.stored.values()}
        last = list(pacs.stored.values())[-1]
    assert _failed(checks) == {}
    assert checks["storage commitment"].result is Result.PASSED
    assert checks["C-FIND finds what was stored"].result is Result.PASSED
    assert names == {"COMMISSIONING^NOT A PATIENT"}
    assert last.SeriesDescription.startswith("WITHDRAWN")


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver of ours in this process makes every peer of pynetdicom take all classes."""
    monkeypatch.setattr(_config, "UNRESTRICTED_STORAGE_SERVICE", False)


@pytest.mark.usefixtures("strict")
def test_what_is_refused_is_told_with_the_key_to_set(tmp_path: Path) -> None:
    with running_commitment_pacs(commitment=False) as pacs:
        checks = _checks(_settings(tmp_path / "data", free_port(), pacs.destination))
    failed = _failed(checks)
    assert "sr_class" in failed["takes Comprehensive 3D SR Storage"].remedy
    assert "segmentation" in failed["takes Segmentation Storage"].remedy
    assert failed["storage commitment"].remedy == "storage_commitment = false"
    assert checks["takes Secondary Capture Image Storage"].result is Result.PASSED


def _none_kept(_pacs: CommitmentPacs, uid: str, objects: list[tuple[str, str]]) -> list[Told]:
    return [(uid, [], [(each, 0x0112) for each in objects])]


@pytest.mark.parametrize(
    ("script", "found"), [(_none_kept, "does not promise to keep"), (silent, "no report within 1")]
)
def test_a_promise_that_is_not_given_fails(tmp_path: Path, script: object, found: str) -> None:
    port = free_port()
    node = Peer(name="node", ae_title="DICOMNODE", address="127.0.0.1", port=port)
    pacs = CommitmentPacs(node=node, script=script)  # type: ignore[arg-type]
    with running_commitment_pacs(pacs=pacs, classes=RESULT_CLASSES):
        impatient = pacs.destination.model_copy(update={"commitment_timeout_seconds": 1.0})
        checks = _checks(_settings(tmp_path / "data", port, impatient))
    assert set(_failed(checks)) == {"storage commitment"}
    assert found in checks["storage commitment"].found


def test_while_a_node_runs_its_receivers_take_the_report(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with (
        running_commitment_pacs(classes=RESULT_CLASSES) as pacs,
        running_receiver(folder, ReceiveSettings(), [pacs.destination]) as receiver,
        only_one(folder),
    ):
        pacs.node = receiver.peer
        checks = _checks(_settings(folder, receiver.peer.port, pacs.destination))
    assert _failed(checks) == {}
    assert checks["storage commitment"].result is Result.PASSED
    assert checks["C-ECHO from it"].result is Result.NOT_TESTED
    assert pacs.answers == [0x0000]


def test_where_nobody_answers_the_rest_is_not_tested(tmp_path: Path) -> None:
    away = Destination(name="pacs", ae_title="PACS", address="127.0.0.1", port=free_port())
    checks = _checks(_settings(tmp_path / "data", free_port(), away))
    assert "address and port" in checks["C-ECHO to it"].remedy
    assert checks["all else"].result is Result.NOT_TESTED


def test_a_web_server_that_is_away_is_told_once(tmp_path: Path) -> None:
    away = WebDestination(name="web", url=f"http://127.0.0.1:{free_port()}/dicom-web")
    checks = _checks(_settings(tmp_path / "data", free_port(), away))
    assert {what: each.result for what, each in checks.items()} == {"STOW-RS": Result.FAILED}
    assert "url" in checks["STOW-RS"].remedy


def _command(folder: Path, destination: Destination, *options: str) -> Sequence[str]:
    config = folder / "dicomnode.toml"
    config.write_text(
        f'[node]\ndata_directory = "data"\n[receive]\nport = {free_port()}\n'
        "[inference]\nallow_demonstration_model = true\n"
        f'[[destinations]]\nname = "pacs"\nae_title = "{destination.ae_title}"\n'
        f'address = "127.0.0.1"\nport = {destination.port}\n'
    )
    return ["commission", "--config", str(config), *options]


def test_nothing_is_stored_before_somebody_agrees(tmp_path: Path) -> None:
    with running_commitment_pacs(classes=RESULT_CLASSES) as pacs:
        result = CliRunner().invoke(app, _command(tmp_path, pacs.destination))
    assert result.exception is not None
    assert "--yes" in str(result.exception)
    assert pacs.stored == {}


@pytest.mark.usefixtures("strict")
def test_the_command_writes_a_sheet_and_its_exit_status_tells(tmp_path: Path) -> None:
    sheet = tmp_path / "sheets" / "acceptance.html"
    options = ("--yes", "--json", "--sheet", str(sheet))
    with running_commitment_pacs() as pacs:  # it takes no reports
        result = CliRunner().invoke(app, _command(tmp_path, pacs.destination, *options))
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told["failed"] > 0
    assert {part["about"] for part in told["parts"]} == {"this node", "pacs"}
    page = sheet.read_text("utf-8")
    assert "Signature" in page
    assert "sr_class" in page


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_was_stored_is_withdrawn_when_the_test_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    def stop(*_told: object) -> Check:
        signal.raise_signal(number)  # to this thread: any other would not wake it
        raise AssertionError

    monkeypatch.setattr(dicom_peer, "_found", stop)
    with running_commitment_pacs(classes=RESULT_CLASSES) as pacs:
        result = CliRunner().invoke(app, _command(tmp_path, pacs.destination, "--yes"))
        stored = list(pacs.stored.values())
    assert result.exit_code != 0
    assert len(stored) > 1
    assert stored[-1].SeriesDescription.startswith("WITHDRAWN")
    assert "stopped: withdrawing what was stored at pacs" in result.stderr
    entered = list(entries(tmp_path / "data" / "audit" / "audit.log"))
    assert [each and each.what for each in entered] == ["dicomnode commission: pacs: stopped"]
    assert f"pacs: withdrawn; delete the study of Patient ID {stored[0].PatientID}" in result.stderr


@pytest.mark.long
def test_orthanc_passes_by_dicom_and_by_dicomweb_and_its_echo_is_seen(tmp_path: Path) -> None:
    port = free_port()
    node = Peer(name="node", ae_title="DICOMNODE", address="127.0.0.1", port=port)
    with running_orthanc(tmp_path / "orthanc", node) as orthanc:
        by_dicom = orthanc.peer.model_copy(update={"storage_commitment": True})
        by_web = WebDestination(name="web", url=orthanc.service)
        settings = _settings(tmp_path / "data", port, by_dicom, by_web)
        with prepared(settings, datetime.now(UTC)) as bench:
            echo = threading.Thread(target=orthanc.post, args=("/modalities/node/echo", {}))
            echo.start()
            parts = run_checks(bench, settings.destinations, 60.0, lambda *_: None)
            echo.join()
    _machine, dicom, web = parts
    assert dicom.count(Result.FAILED) == web.count(Result.FAILED) == 0
    assert _passed(dicom) >= {
        "C-ECHO from it",
        "C-FIND finds what was stored",
        "storage commitment",
    }
    assert "QIDO-RS finds what was stored" in _passed(web)


def _passed(part: Part) -> set[str]:
    return {each.what for each in part.checks if each.result is Result.PASSED}
