"""Validators and readers that are not ours, on one object of every kind."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from dicomnode.results.build import encode
from dicomnode.results.common.codes import code_item
from support.result_kinds import DOCUMENTS, PICTURES, every_kind
from support.tools import needed
from support.validators import dciodvfy_errors, pixelmed_lines


def is_extension(warning: str) -> bool:
    """Of TID 1500, which may be extended (PS3.16): by private items and by the summary.

    Notes and what stands in their place follow no template: all their items are such.
    """
    path, _, told = warning.rpartition(": ")
    item = path.rpartition("/")[2]
    extends = ",99COVNET," in item or "121111,DCM" in item or "AI processing note" in path
    return told == "Content Item not in template" and extends


def written(kind: str, folder: Path) -> Path:
    file = folder / "object.dcm"
    file.write_bytes(encode(every_kind()[kind]))
    return file


def run(program: str, *arguments: str | Path) -> str:
    command = [needed(program, "dcmtk"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, check=True)
    assert not any(line.startswith(b"E:") for line in done.stderr.splitlines())
    return done.stdout.decode()


def test_no_kind_is_left_out() -> None:
    assert set(every_kind()) == {*DOCUMENTS, *PICTURES}
    trees = {name for name, each in every_kind().items() if "ContentSequence" in each.data_set}
    assert trees == set(DOCUMENTS)
    uids = [each.sop_instance_uid for each in every_kind().values()]
    assert len(set(uids)) == len(uids)


@pytest.mark.parametrize("kind", [kind for kind in (*DOCUMENTS, *PICTURES) if kind != "label map"])
def test_dciodvfy_finds_no_error(kind: str, tmp_path: Path) -> None:
    """The label map is left out: Debian's dciodvfy is older than its SOP class."""
    assert dciodvfy_errors(written(kind, tmp_path)) == []


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_dsrdump_reads_the_whole_tree(kind: str, tmp_path: Path) -> None:
    told = run("dsrdump", "+Pl", written(kind, tmp_path))
    items = every_kind()[kind].data_set.ContentSequence
    for name in (
        each.ConceptNameCodeSequence for each in items if "ConceptNameCodeSequence" in each
    ):
        assert f'"{name[0].CodeMeaning}"' in told
    assert told.count("contains ") >= len(
        [each for each in items if each.RelationshipType == "CONTAINS"]
    )


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_dsr2html_shows_what_it_says(kind: str, tmp_path: Path) -> None:
    data_set = every_kind()[kind].data_set
    told = run("dsr2html", written(kind, tmp_path))
    title = data_set.ConceptNameCodeSequence[0].CodeMeaning
    texts = [each.TextValue for each in data_set.ContentSequence if each.ValueType == "TEXT"]
    for text in (title, *(text.splitlines()[0] for text in texts)):
        assert text in told


def containers(item: Dataset) -> Iterator[Dataset]:
    if item.get("ValueType") == "CONTAINER":
        yield item
    for child in item.get("ContentSequence", ()):
        yield from containers(child)


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_every_container_holds_separate_items(kind: str) -> None:
    """Of flowing text readers show no concept names: numbers would stand there without theirs."""
    continuity = [each.ContinuityOfContent for each in containers(every_kind()[kind].data_set)]
    assert continuity
    assert set(continuity) == {"SEPARATE"}


def numbers(item: Dataset) -> Iterator[Dataset]:
    if item.get("ValueType") == "NUM":
        yield item
    for child in item.get("ContentSequence", ()):
        yield from numbers(child)


@pytest.mark.parametrize("kind", [kind for kind in DOCUMENTS if "report" in kind])
def test_dsr2html_shows_each_number_behind_its_name(kind: str, tmp_path: Path) -> None:
    shown = run("dsr2html", written(kind, tmp_path))
    plain = " ".join(re.sub(r"<[^>]*>", " ", shown).split())
    for each in numbers(every_kind()[kind].data_set):
        name = each.ConceptNameCodeSequence[0].CodeMeaning
        value = each.MeasuredValueSequence[0].NumericValue
        assert re.search(rf"{re.escape(name)}(:| =) {re.escape(str(value))} ", plain), (name, value)


@pytest.mark.long
@pytest.mark.parametrize("kind", DOCUMENTS)
def test_pixelmed_finds_no_error(kind: str, tmp_path: Path) -> None:
    lines = pixelmed_lines(written(kind, tmp_path))
    assert [line for line in lines if line.startswith("Error")] == []
    assert lines[-1] == "IOD validation complete"
    warnings = [line for line in lines if line.startswith("Warning")]
    assert [line for line in warnings if not is_extension(line)] == []


@pytest.mark.long
def test_pixelmed_would_find_one(tmp_path: Path) -> None:
    """The same validator on a procedure that is not of its context group."""
    report = every_kind()["report"]
    broken = deepcopy(report.data_set)
    names = [item.ConceptNameCodeSequence[0].CodeValue for item in broken.ContentSequence]
    procedure = broken.ContentSequence[names.index("121058")]
    procedure.ConceptCodeSequence = [code_item(Code("169069000", "SCT", "CT of chest"))]
    file = tmp_path / "broken.dcm"
    file.write_bytes(encode(replace(report, data_set=broken)))
    (error,) = [line for line in pixelmed_lines(file) if line.startswith("Error")]
    assert "not found in context group 100" in error
