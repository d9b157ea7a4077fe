"""The canary through a whole node, and who else calls himself so."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pynetdicom import build_context
from pynetdicom.sop_class import CTImageStorage  # type: ignore[attr-defined]
from typer.testing import CliRunner

from dicomnode.config.sections import ReceiveSettings
from dicomnode.network.associations import associated, c_store_answer, requestor
from dicomnode.synthetic.chest import drawn_chest
from dicomnode.synthetic.patient import SyntheticPatient
from storage import canary_runs
from storage.canary_runs import CANARY_AE_TITLE, CanaryRecord
from storage.database import Database
from support.command import app
from support.commitment_pacs import RESULT_CLASSES, CommitmentPacs, running_commitment_pacs
from support.node import Node
from support.receiver import Receiver, running_receiver
from support.wait import wait_for

NOW = datetime(2026, 3, 1, 3, 15, tzinfo=UTC)


def _send(receiver: Receiver, ae_title: str, patient: SyntheticPatient) -> int:
    """The status of its first instance."""
    first = next(patient.instances(drawn_chest()))
    context = build_context(CTImageStorage, first.file_meta.TransferSyntaxUID)
    with associated(requestor(ae_title, [context], 20), receiver.peer) as association:
        return c_store_answer(association, first).status


def test_the_title_alone_makes_no_canary(tmp_path: Path) -> None:
    """Only a study that a run has registered, and only while that run is under way."""
    patient, other = (SyntheticPatient.new("CANARY", NOW) for _ in range(2))
    uid = patient.series_instance_uid
    run = CanaryRecord(uid, patient.study_instance_uid, "test", "C-STORE", "", "", "", NOW)
    with running_receiver(tmp_path / "data", ReceiveSettings()) as receiver:
        with receiver.database.write() as session:
            canary_runs.register(session, run)
        assert _send(receiver, CANARY_AE_TITLE, patient) == 0x0000
        assert _send(receiver, CANARY_AE_TITLE, other) == 0x0124
        assert _send(receiver, "SCANNER", other) == 0x0000
        with receiver.database.write() as session:
            canary_runs.end_run(session, uid, NOW, passed=True, text="")
        assert _send(receiver, CANARY_AE_TITLE, patient) == 0x0124


@pytest.mark.long
def test_it_runs_by_itself_and_reaches_its_destination_and_no_other(
    tmp_path: Path, shared_models: Path
) -> None:
    clinical = CommitmentPacs(ae_title="CLINICAL")
    with (
        running_commitment_pacs(classes=RESULT_CLASSES) as named,
        running_commitment_pacs(classes=RESULT_CLASSES, pacs=clinical),
    ):
        toml = (
            "[study]\nwait_seconds = 0.5\n[http]\nport = 0\n[results]\nkey_slices = 1\n"
            '[canary]\nenabled = true\ndestinations = ["pacs"]'
        )
        elsewhere = clinical.destination.model_copy(update={"name": "clinical"})
        node = Node(tmp_path / "node", [named.destination, elsewhere], toml, models=shared_models)
        named.node = clinical.node = node.peer  # where they promise to keep what they stored
        node.start()
        try:
            passed, text = wait_for(lambda: _ended(node), f"it ends; log:\n{node.log}", 300)
            assert passed, text
            listed = ["queue", "list", "--json", "--config", str(node.config)]
            shown = CliRunner().invoke(app, listed)
        finally:
            node.stop()
    assert [str(each.PatientName) for each in clinical.stored.values()] == []
    assert {str(each.PatientName) for each in named.stored.values()} == {"CANARY^NOT A PATIENT"}
    assert any(each.SeriesDescription.startswith("WITHDRAWN") for each in named.stored.values())
    assert json.loads(shown.stdout) == []


def _ended(node: Node) -> tuple[bool, str] | None:
    database = Database.open_later(node.settings.database_url)
    try:
        with database.read() as session:
            last = canary_runs.last_run(session)
    finally:
        database.close()
    return None if last is None or last.passed is None else (last.passed, last.text)
