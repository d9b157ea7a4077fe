"""What is counted on the way of a series, from a peer to a PACS that answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pydicom
from prometheus_client import CollectorRegistry, generate_latest
from pydicom.uid import generate_uid
from pynetdicom import build_context
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from sqlalchemy import update

from dicomnode.decisions.arrival.admission import AdmissionPolicy, Peer
from dicomnode.decisions.operating.health_policy import HealthPolicy
from dicomnode.decisions.operating.judge import judge
from dicomnode.health.collector import Collector
from dicomnode.metrics.counters import REGISTRY
from dicomnode.metrics.looked_at import LookedAt
from dicomnode.metrics.read_back import Counted
from dicomnode.network.associations import requestor
from dicomnode.web.status_page import Sight, render, status_page
from storage.models import DeliveryRow
from storage.recent import ended_series
from support.acceptor import running_acceptor
from support.counted import counted, stage_seconds
from support.pacs import running_pacs
from support.phantom import write_series
from support.pipeline import Pipeline
from support.receiver import Receiver
from support.wait import wait_for


def test_of_a_peer_its_associations_instances_and_bytes(receiver: Receiver, tmp_path: Path) -> None:
    caller = {"calling_ae_title": "TESTER"}
    names = ("associations_accepted_total", "instances_received_total", "received_bytes_total")
    before = [counted(name, **caller) for name in names]
    ended = counted("associations_ended_total", ending="released")
    still_open = counted("associations_open")  # of another test, in this process
    assert receiver.send(*write_series(tmp_path / "series", slices=3)) == [0x0000] * 3
    wait_for(
        lambda: counted("associations_ended_total", ending="released") == ended + 1, "it ended"
    )
    size = sum(
        receiver.files.open_path(each).stat().st_size for each in receiver.files.iter_paths()
    )
    assert [counted(name, **caller) for name in names] == [
        before[0] + 1,
        before[1] + 3,
        before[2] + size,
    ]
    assert counted("associations_open") <= still_open


def test_a_stranger_is_counted_by_the_reason_and_leaves_no_label() -> None:
    reason = {"reason": "calling_ae_title_not_recognized"}
    before = counted("associations_rejected_total", **reason)
    known = AdmissionPolicy(peers=(Peer("CT1", ("*",)),), called_ae_titles=("DICOMNODE",))
    with running_acceptor(known) as acceptor:
        ae = requestor("NAMED-NOWHERE", [build_context(Verification)], 20)
        assert ae.associate("127.0.0.1", acceptor.port, ae_title="DICOMNODE").is_rejected
    assert counted("associations_rejected_total", **reason) == before + 1
    assert counted("associations_accepted_total", calling_ae_title="NAMED-NOWHERE") == 0


def test_of_a_series_its_stages_scores_and_deliveries(tmp_path: Path, shared_models: Path) -> None:
    stages = ("completeness", "queue", "analysis", "delivery", "total")
    before = {stage: stage_seconds(stage)[0] for stage in stages}
    analysed = counted("analyses_total", outcome="analysed")
    with running_pacs() as pacs:
        stored = {"destination": pacs.destination.name, "outcome": "stored"}
        again = stored | {"outcome": "again"}
        attempts = [counted("delivery_attempts_total", **each) for each in (stored, again)]
        node = Pipeline(tmp_path / "data", shared_models, [pacs.destination])
        node.bring_to_results(write_series(tmp_path / "series"))
        pacs.refuse_next = 1
        node.deliver(pacs.destination)
        assert stage_seconds("total")[0] == before["total"], "one object is still to come"
        assert [counted("delivery_attempts_total", **each) for each in (stored, again)] == [
            attempts[0] + 3,
            attempts[1] + 1,
        ]
        with node.database.write() as session:
            session.execute(update(DeliveryRow).values(not_before=datetime.now(UTC)))
        node.deliver(pacs.destination)
        node.database.close()
    assert {stage: stage_seconds(stage)[0] - before[stage] for stage in stages} == dict.fromkeys(
        stages, 1
    )
    assert counted("analyses_total", outcome="analysed") == analysed + 1
    assert counted("series_decided_total", decision="queued") >= 1
    scores = [
        sample
        for each in REGISTRY.collect()
        if each.name == "dicomnode_class_score"
        for sample in each.samples
        if sample.name.endswith("_count") and sample.labels["manufacturer"] == "Phantom"
    ]
    assert scores


def test_no_patient_is_named_by_metrics_or_page(tmp_path: Path, shared_models: Path) -> None:
    files = write_series(tmp_path / "series")
    planted = {"PatientName": "PLANTED^NAME", "PatientID": "PLANTED-ID", "AccessionNumber": "PL-7"}
    planted |= {"StudyDescription": "PLANTED STUDY", "SeriesDescription": "PLANTED SERIES"}
    for file in files:
        data_set = pydicom.dcmread(file)
        for keyword, value in planted.items():
            setattr(data_set, keyword, value)
        data_set.save_as(file)
    header = pydicom.dcmread(files[0])
    damaged = tmp_path / "damaged"
    with running_pacs() as pacs:
        node = Pipeline(tmp_path / "data", shared_models, [pacs.destination])
        node.bring_to_results(files)
        pacs.refuse_next = 4
        node.deliver(pacs.destination)
        node.receive([shortened(files[0], damaged)])
        node.assess()
        facts = Collector(node.settings, node.database).collect()
        with node.database.read() as session:
            ended = ended_series(session, facts.at - timedelta(days=1))
        node.database.close()
    troubles = judge(facts, HealthPolicy(), facts.at)
    page = render(status_page(Sight(facts, troubles, ended, Counted()), node.settings))
    registry = CollectorRegistry()
    registry.register(LookedAt(facts, troubles))
    text = page + (generate_latest(registry) + generate_latest(REGISTRY)).decode()
    assert pacs.destination.name in text
    assert "SCANNER" in text
    uids = (header.StudyInstanceUID, header.SeriesInstanceUID, header.SOPInstanceUID)
    assert [each for each in (*planted.values(), "PLANTED", *uids) if each in text] == []


def shortened(file: Path, folder: Path) -> Path:
    """A slice of another series, alone: it will not be analysed."""
    folder.mkdir()
    data_set = pydicom.dcmread(file)
    data_set.SeriesInstanceUID = generate_uid()
    data_set.SOPInstanceUID = data_set.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    data_set.save_as(folder / "one.dcm")
    return folder / "one.dcm"
