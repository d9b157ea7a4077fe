"""Flight records by command, and a series analysed again: `dicomnode audit flights`, `replay`."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from sqlalchemy import delete, func, update

from inference.bundles.tasks import TASKS
from storage import flight_records
from storage.models import InstanceRow
from storage.operating_tables import FlightRecordRow
from support import texture_method
from support.command import dicomnode
from support.phantom import series_uid, write_series
from support.pipeline import Pipeline
from support.texture_method import make_texture_bundle


class Node:
    """A series that was analysed, its flight record, and the commands of the node."""

    def __init__(self, folder: Path) -> None:
        self.bundle = make_texture_bundle(folder / "bundle")
        files = write_series(folder / "series")
        self.uid = series_uid(files)
        self.pipeline = Pipeline(folder / "node", self.bundle)
        self.pipeline.bring_to_results(files)
        self.config = self.pipeline.write_config(folder)
        self.use(self.bundle)

    def use(self, bundle: Path) -> None:
        text = self.config.read_text().partition("[inference]")[0]
        self.config.write_text(f'{text}[inference]\nmethods = [{{ bundle = "{bundle}" }}]\n')

    def run(self, *arguments: str) -> CompletedProcess[str]:
        return dicomnode(*arguments, "--config", str(self.config))

    def change(self, statement: object) -> None:
        with self.pipeline.database.write() as session:
            session.execute(statement)  # type: ignore[call-overload]

    def first_file(self) -> Path:
        return min(self.pipeline.settings.instances.rglob("*.dcm"))


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    monkeypatch.setitem(TASKS, texture_method.TASK.name, texture_method.TASK)
    return Node(tmp_path)


def test_a_series_analysed_again_has_the_same_findings(node: Node) -> None:
    done = node.run("replay", node.uid)
    assert done.returncode == 0, done.stderr
    assert f"series {node.uid}, flight record 1: the same findings" in done.stdout
    again = json.loads(node.run("replay", node.uid[-12:], "--json").stdout)
    assert (again["same"], again["record"], again["differences"]) == (True, 1, [])
    assert again["findings"][0]["method"] == "texture"
    assert again["elsewhere"] == []


def test_findings_that_differ_are_told_with_both_and_the_end_is_1(node: Node) -> None:
    """As if the record had told of others: the bundle gives the same each time."""
    (found,) = json.loads(node.run("replay", node.uid, "--json").stdout)["findings"]
    name, score = next(iter(found["scores"].items()))
    told = f'"{name}":{score}'
    changed = func.replace(FlightRecordRow.record, told, f'"{name}":0.123')
    node.change(update(FlightRecordRow).values(record=changed))
    done = node.run("replay", node.uid)
    assert done.returncode == 1
    assert f"texture.scores.{name}" in done.stdout
    assert "0.123" in done.stdout
    assert str(score) in done.stdout


def _other_bundle(node: Node) -> None:
    node.use(make_texture_bundle(node.config.parent / "other", seed=8))


def _without_a_file(node: Node) -> None:
    node.first_file().unlink()


def _with_another_byte(node: Node) -> None:
    file = node.first_file()
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def _after_retention(node: Node) -> None:
    node.change(delete(InstanceRow))


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (_other_bundle, "are not those of then: "),
        (_without_a_file, "files are missing"),
        (_with_another_byte, "not byte by byte, those of then"),
        (_after_retention, "are not kept any more"),
    ],
)
def test_what_cannot_be_analysed_again_says_what_is_missing(
    node: Node, spoil: Callable[[Node], None], why: str
) -> None:
    spoil(node)
    done = node.run("replay", node.uid)
    assert done.returncode == 3
    assert why in done.stderr


def test_the_records_are_shown_as_json_and_as_the_columns_of_a_registry(node: Node) -> None:
    (record,) = json.loads(node.run("audit", "flights", "--json").stdout)
    assert record["series_key"] == node.uid
    assert record["input"]["instances"] == 12
    assert len(record["results"]) > 2
    assert all(len(each["sha256"]) == 64 for each in record["results"])
    told = node.run("audit", "flights", node.uid, "--csv").stdout
    (row,) = csv.DictReader(StringIO(told))
    assert row["Series Instance UID"] == node.uid
    assert row["Patient ID"] == row["Accession Number"] == row["Sex"] == ""
    assert row["Modality"] == "CT"
    assert row["Result Indicator"] == record["findings"][0]["outcome"]
    assert node.uid in node.run("audit", "flights").stdout


def test_a_chain_that_is_whole_ends_with_0_and_a_broken_one_with_1(node: Node) -> None:
    with node.pipeline.database.read() as session:
        head = flight_records.head(session)
    whole = node.run("audit", "flights", "--verify", "--anchor", f"{head.number}:{head.digest}")
    assert (whole.returncode, whole.stdout) == (0, "1 record, no breaks\n")
    node.change(delete(FlightRecordRow))
    cut = node.run("audit", "flights", "--verify", "--anchor", f"{head.number}:{head.digest}")
    assert cut.returncode == 1
    assert "record 1 was removed at the end" in cut.stdout
