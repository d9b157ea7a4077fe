"""`dicomnode model simulate`: scans, truth and manifests that the trainer can read."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from dicomnode.errors import ConfigurationError
from dicomnode.weights.manifest import ManifestRow, read_boxes, read_manifest
from dicomnode.weights.nifti import write_nifti
from dicomnode.weights.scans import load_scan
from dicomnode.weights.simulate import NON_PNEUMONIA, plan, simulate
from dicomnode.weights.simulate_pictures import SIZE, write_pictures
from inference.bundles.tasks import NO_INFECTION
from inference.simulation.patterns import Pattern
from support.chest_volume import chest
from support.command import app

SCANS = 8
INFECTIONS = {"COVID-19", "influenza-A viral pneumonia"}


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hosts, one of them with its own mask of the lungs."""
    folder = tmp_path_factory.mktemp("hosts")
    drawn = chest((7.0, 2.8, 2.8))
    volume = drawn.volume()
    for name in ("one", "two"):
        write_nifti(folder / f"{name}.nii.gz", volume.hu, volume.affine)
    write_nifti(folder / "lungs.nii.gz", drawn.lungs.view(np.uint8), volume.affine)
    text = "scan,patient,path,split,lungs,scanner\n"
    text += "one,p1,one.nii.gz,training,,Drawn\ntwo,p2,two.nii.gz,test,lungs.nii.gz,\n"
    (folder / "hosts.csv").write_text(text, "utf-8")
    return folder / "hosts.csv"


@pytest.fixture(scope="module")
def made(hosts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made")
    told: list[int] = []
    simulate(hosts, out, SCANS, 5, 1, told.append)
    assert sum(told) == SCANS
    return out


def rows(made: Path, task: str) -> tuple[ManifestRow, ...]:
    return read_manifest(made / f"{task}.csv", task).rows


def test_every_host_gets_every_pattern_equally_often() -> None:
    named = [ManifestRow(name, name, Path(name), "") for name in "abc"]
    planned = plan(named, 120, 0)
    found = Counter((each.host.scan, each.pattern) for each in planned)
    for host in "abc":
        for pattern in (Pattern.COVID19, Pattern.CAP, Pattern.INFLUENZA):
            assert found[host, pattern] == 10
        assert found[host, Pattern.IRRELEVANT] + found[host, Pattern.CLEAN] == 10
    assert sum(found[host, Pattern.CLEAN] for host in "abc") in range(1, 11)
    assert len({each.seed for each in planned}) == 120


def test_a_longer_plan_begins_as_the_shorter_one() -> None:
    named = [ManifestRow("a", "a", Path("a"), "")]
    assert plan(named, 40, 7)[:10] == plan(named, 10, 7)
    assert plan(named, 10, 8)[0].seed != plan(named, 10, 7)[0].seed


def test_each_task_gets_its_classes(made: Path) -> None:
    covnet = Counter(row.label for row in rows(made, "covnet"))
    regions = Counter(row.label for row in rows(made, "regions"))
    assert covnet == {"COVID-19": 2, "community-acquired pneumonia": 2, NON_PNEUMONIA: 2}
    assert regions == {"COVID-19": 2, "influenza-A viral pneumonia": 2, NO_INFECTION: 2}
    assert len(rows(made, "lungs")) == SCANS


def test_patient_split_and_strata_are_those_of_the_host(made: Path) -> None:
    for row in rows(made, "lungs"):
        assert (row.patient, row.split) in {("p1", "training"), ("p2", "test")}
        assert row.strata == ({"scanner": "Drawn"} if row.patient == "p1" else {})


def test_scans_have_lungs_and_lesions_on_their_grid_and_boxes_about_them(made: Path) -> None:
    for row in rows(made, "regions"):
        scan = load_scan(row)
        assert scan.lungs is not None
        assert scan.lesions is not None
        assert scan.lungs.sum() * scan.volume.voxel_ml > 1000
        assert set(np.unique(scan.lesions)) - {0} == {box.number for box in scan.boxes}
        assert INFECTIONS.isdisjoint({box.class_name for box in scan.boxes} - {row.label})
        for box in scan.boxes:
            index = np.argwhere(scan.lesions == box.number).mean(axis=0)
            middle = scan.volume.to_lps((index[0], index[1], index[2]))
            assert (np.array(box.low) < middle).all()
            assert (np.array(box.high) > middle).all()


def test_boxes_of_findings_beside_bear_the_name_that_the_task_knows(made: Path) -> None:
    for task, name in (("covnet", NON_PNEUMONIA), ("regions", "irrelevant to infection")):
        known = {"COVID-19", "community-acquired pneumonia", "influenza-A viral pneumonia", name}
        paths = sorted((made / "boxes" / task).glob("*.csv"))
        assert len(paths) == SCANS
        found = {box.class_name for path in paths for box in read_boxes(path)}
        assert name in found
        assert found <= known


def test_another_run_makes_only_what_is_missing(made: Path, hosts: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (made / "scans").iterdir()}
    gone = sorted((made / "boxes/regions").iterdir())[3]
    text, gone_scan = gone.read_text("utf-8"), made / "scans" / f"{gone.stem}.nii.gz"
    pixels = gone_scan.read_bytes()
    gone.unlink()
    told: list[int] = []
    simulate(hosts, made, SCANS, 5, 1, told.append)
    assert told[0] == SCANS - 1
    assert gone.read_text("utf-8") == text
    assert gone_scan.read_bytes() == pixels
    after = {path: path.stat().st_mtime_ns for path in (made / "scans").iterdir()}
    assert {path for path in before if after[path] != before[path]} == {gone_scan}


def test_a_folder_of_another_seed_is_not_mixed_with(made: Path, hosts: Path) -> None:
    with pytest.raises(ConfigurationError, match="another seed"):
        simulate(hosts, made, SCANS, 6, 1, lambda _: None)


def test_two_processes_make_what_one_makes(made: Path, hosts: Path, tmp_path: Path) -> None:
    simulate(hosts, tmp_path, 4, 5, 2, lambda _: None)
    for path in (tmp_path / "scans").iterdir():
        np.testing.assert_array_equal(
            load_scan(ManifestRow("a", "a", path, "")).volume.hu,
            load_scan(ManifestRow("a", "a", made / "scans" / path.name, "")).volume.hu,
        )


def test_the_command_makes_scans_and_tells_what_it_cannot_use(hosts: Path, tmp_path: Path) -> None:
    arguments = ["model", "simulate", "--out", str(tmp_path), "--scans", "1", "--hosts"]
    assert CliRunner().invoke(app, [*arguments, str(hosts)]).exit_code == 0
    assert (tmp_path / "covnet.csv").is_file()
    refused = CliRunner().invoke(app, [*arguments, str(tmp_path / "none.csv")])
    assert "none.csv" in str(refused.exception)


def test_pictures_show_host_and_painted_side_by_side(hosts: Path, tmp_path: Path) -> None:
    paths = write_pictures(hosts, tmp_path / "pictures", 1, each=1)
    assert [path.stem for path in paths] == [pattern.name.lower() for pattern in Pattern]
    for path in paths:
        picture = np.asarray(Image.open(path))
        assert picture.shape == (2 * SIZE, 3 * SIZE, 3)
        host, painted, outlined = np.split(picture.astype(int), 3, axis=1)
        clean = path.stem == "clean"
        assert ((host != painted).sum() == 0) == clean
        assert ((painted != outlined).sum() == 0) == clean
