"""DCMTK on both ends: echoscu and storescu send to the node, storescp gets the results."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import ImplicitVRLittleEndian

from storage.records import SeriesState
from support.node import Node
from support.pacs import running_pacs
from support.phantom import series_uid, write_series
from support.pipeline import Pipeline
from support.storescp import running_storescp
from support.tools import needed
from support.validators import dciodvfy_errors
from support.wait import PATIENCE_SECONDS

QUICK = "[completeness]\nquiet_seconds = 0.5\n[results]\nkey_slices = 2\n"
RESULTS = 5  # report, montage, two key slices, segmentation


def run(program: str, node: Node, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [needed(program, "dcmtk"), "-aec", "DICOMNODE", "127.0.0.1", str(node.port)]
    return subprocess.run(
        [*command, *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


@pytest.mark.long  # the same way with Orthanc, and each end alone, are quick
def test_the_whole_way_between_two_ends_of_dcmtk(tmp_path: Path, shared_models: Path) -> None:
    files = write_series(tmp_path / "series")
    received = tmp_path / "received"
    with running_storescp(received) as destination:
        node = Node(tmp_path / "node", [destination], QUICK, models=shared_models)
        try:
            node.start()
            assert run("echoscu", node).returncode == 0
            sent = run("storescu", node, *map(str, files))
            assert sent.returncode == 0, sent.stderr
            detail = node.wait_until_ended(series_uid(files))
        finally:
            node.close()
    assert detail.series.state is SeriesState.ANALYSED
    results = sorted(received.iterdir())
    assert len(results) == RESULTS
    assert [error for file in results for error in dciodvfy_errors(file)] == []
    report = next(f for f in results if pydicom.dcmread(f).Modality == "SR")
    shown = subprocess.run(
        [needed("dsrdump", "dcmtk"), str(report)], capture_output=True, text=True, check=True
    ).stdout
    assert "UNTRAINED WEIGHTS" in shown


@pytest.mark.parametrize("peer", ["pynetdicom", "storescp"])
def test_a_destination_that_takes_implicit_little_endian_only(
    tmp_path: Path, shared_models: Path, peer: str
) -> None:
    """Old archives take nothing else: the results are encoded for what was accepted."""
    files = write_series(tmp_path / "series")
    with running_pacs(syntaxes=[ImplicitVRLittleEndian]) as pacs:
        with running_storescp(tmp_path / "received", "+xi") as storescp:
            destination = pacs.destination if peer == "pynetdicom" else storescp
            node = Pipeline(tmp_path / "data", shared_models, [destination])
            node.bring_to_results(files)
            node.deliver(destination)
            node.database.close()
        got = pacs.received or [pydicom.dcmread(f) for f in (tmp_path / "received").iterdir()]
    made = {
        str(data_set.SOPInstanceUID): data_set
        for data_set in map(pydicom.dcmread, node.settings.result_files.rglob("*.dcm"))
    }
    assert len(got) == len(made) == RESULTS - 1  # one key slice less
    for data_set in got:
        assert data_set.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
        assert values(data_set) == values(made[str(data_set.SOPInstanceUID)])


def values(data_set: pydicom.Dataset) -> list[tuple[int, object]]:
    """Every value at every depth; implicit encoding does not tell OB from OW."""
    return [(each.tag, each.value) for each in data_set.iterall() if each.VR != "SQ"]
