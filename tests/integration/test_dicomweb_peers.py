"""Every kind of result goes to real DICOMweb servers by STOW-RS, and lies there as we made it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from io import BytesIO
from pathlib import Path

import pydicom
import pytest

from dicomnode.config.credentials import Credentials
from dicomnode.config.destinations import Destination, WebDestination
from dicomnode.results.common.encoding import encode
from storage.records import DeliveryState
from support.node import free_port
from support.orthanc import USER, Orthanc, running_orthanc
from support.result_kinds import every_kind
from support.tiny_pacs import TinyPacs, running_tiny_pacs
from support.web_outbox import Outbox

SECRET = "a-b_c.d~1"  # noqa: S105 - of this test


@cache
def every_object() -> dict[str, bytes]:
    return {str(each.sop_instance_uid): encode(each) for each in every_kind().values()}


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    node = Destination(name="node", ae_title="DICOMNODE", address="127.0.0.1", port=free_port())
    folder = tmp_path_factory.mktemp("orthanc")
    with running_orthanc(folder, node, SECRET) as running:
        yield running


@pytest.fixture(scope="module")
def tiny_pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyPacs]:
    with running_tiny_pacs(tmp_path_factory.mktemp("tiny"), SECRET) as running:
        yield running


def outbox(folder: Path, url: str, user: str = "", word: str = SECRET) -> Outbox:
    """Of a destination that takes JPEG; all that we send is then byte for byte what we keep."""
    folder.mkdir(exist_ok=True)
    (folder / "secret").write_text(word)
    who = Credentials(str(folder / "secret"), user=user)
    archive = WebDestination(name="archive", url=url, credentials=who, compressed=True)
    return Outbox(folder / "data", archive, every_object())


def test_orthanc_stores_every_kind_as_it_is(orthanc: Orthanc, tmp_path: Path) -> None:
    node = outbox(tmp_path, orthanc.service, USER)
    assert node.deliver() == len(every_object())
    assert {(row.state, row.status, row.error) for row in node.rows()} == {
        (DeliveryState.STORED, "HTTP 200", None)
    }
    kept = [orthanc.file(each) for each in orthanc.get("/instances")]
    uids = [str(pydicom.dcmread(BytesIO(each)).SOPInstanceUID) for each in kept]
    assert dict(zip(uids, kept, strict=True)) == every_object()
    again = outbox(tmp_path / "again", orthanc.service, USER)
    again.deliver()
    assert {row.state for row in again.rows()} == {DeliveryState.STORED}
    assert len(orthanc.get("/instances")) == len(kept)


def test_orthanc_lets_nobody_in_with_another_password(orthanc: Orthanc, tmp_path: Path) -> None:
    node = outbox(tmp_path, orthanc.service, USER, "another")
    node.deliver()
    assert {(row.state, row.status) for row in node.rows()} == {(DeliveryState.WAITING, "HTTP 401")}


@pytest.mark.parametrize("path", ["/nothing", "/instances"])
def test_another_address_of_orthanc_is_told_as_one(
    orthanc: Orthanc, tmp_path: Path, path: str
) -> None:
    node = outbox(tmp_path, orthanc.service.replace("/dicom-web", path), USER)
    node.deliver()
    for row in node.rows():
        assert row.state is DeliveryState.WAITING
        assert "see whether url is the address of its DICOMweb service" in (row.error or "")


def test_tiny_pacs_stores_every_kind(tiny_pacs: TinyPacs, tmp_path: Path) -> None:
    node = outbox(tmp_path, tiny_pacs.service)
    assert node.deliver() == len(every_object())
    assert {(row.state, row.status, row.error) for row in node.rows()} == {
        (DeliveryState.STORED, "HTTP 200", None)
    }
    kept = [pydicom.dcmread(path) for path in tiny_pacs.files.rglob("*") if path.is_file()]
    ours = {uid: pydicom.dcmread(BytesIO(each)) for uid, each in every_object().items()}
    assert {str(each.SOPInstanceUID): each for each in kept} == ours


def test_tiny_pacs_is_asked_whether_it_has_an_object_already(
    tiny_pacs: TinyPacs, tmp_path: Path
) -> None:
    """Its reason for what it holds, HTTP 409 0x0110, is that for any other fault."""
    outbox(tmp_path / "first", tiny_pacs.service).deliver()
    node = outbox(tmp_path / "again", tiny_pacs.service)
    node.deliver()
    assert {(row.state, row.status) for row in node.rows()} == {
        (DeliveryState.STORED, "HTTP 409 0x0110")
    }


def test_tiny_pacs_lets_nobody_in_with_another_token(tiny_pacs: TinyPacs, tmp_path: Path) -> None:
    node = outbox(tmp_path, tiny_pacs.service, word="another")
    node.deliver()
    assert {(row.state, row.status) for row in node.rows()} == {(DeliveryState.WAITING, "HTTP 401")}
