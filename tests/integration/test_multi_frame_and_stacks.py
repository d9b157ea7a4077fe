"""`dicomnode process` on a multi-frame chest, and on a series of several stacks and copies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from dicomnode.assess.assessment import assess_files
from dicomnode.config.reading import load_settings
from dicomnode.config.settings import Settings
from dicomnode.decisions.eligibility.eligibility import EligibilityPolicy
from dicomnode.offline.process import SeriesOutcome, process_folder
from dicomnode.results.documents.text import report_as_text
from support.data import LOCALIZER
from support.multi_frame import write_multi_frame
from support.phantom import LOW_CHEST, write_series
from support.validators import dciodvfy_errors

FRAMES = 40


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, shared_models: Path) -> Settings:
    home = tmp_path_factory.mktemp("node")
    config = home / "dicomnode.toml"
    config.write_text(
        f'[node]\ndata_directory = "data"\n[[inference.methods]]\nbundle = "{shared_models}"\n'
        f"[results]\nkey_slices = 3\n{LOW_CHEST}"
    )
    return load_settings(config)


@pytest.fixture(scope="module")
def enhanced(
    tmp_path_factory: pytest.TempPathFactory, settings: Settings
) -> tuple[Dataset, list[Path]]:
    """The multi-frame source, and the objects made of it."""
    home = tmp_path_factory.mktemp("enhanced")
    source = write_multi_frame(home / "in", FRAMES)
    (outcome,) = process_folder(home / "in", home / "out", settings)
    assert outcome.state == "analysed", [str(r) for r in outcome.reasons]
    return pydicom.dcmread(source), [Path(each["path"]) for each in outcome.objects]


def items_of(data_set: Dataset, keyword: str) -> list[Dataset]:
    """All items of a sequence, at any depth."""
    found: list[Dataset] = []

    def collect(_parent: Dataset, element: pydicom.DataElement) -> None:
        if element.keyword == keyword:
            found.extend(element.value)

    data_set.walk(collect)
    return found


def test_a_chest_of_forty_frames_gives_valid_objects(
    enhanced: tuple[Dataset, list[Path]],
) -> None:
    source, objects = enhanced
    kinds = [path.stem.partition("-")[2] for path in objects]
    assert kinds[:2] == ["sr", "montage"]
    assert kinds.count("key_slice") == 3
    for path in objects:
        if path.stem.endswith(("sr", "montage", "key_slice")):  # dciodvfy cannot inflate others
            assert dciodvfy_errors(path) == []
        assert pydicom.dcmread(path).StudyInstanceUID == source.StudyInstanceUID
    assert len({pydicom.dcmread(path).SOPInstanceUID for path in objects}) == len(objects)


def test_the_report_refers_to_frames(enhanced: tuple[Dataset, list[Path]]) -> None:
    source, objects = enhanced
    report = pydicom.dcmread(objects[0])
    content = Dataset()
    content.ContentSequence = report.ContentSequence
    references = items_of(content, "ReferencedSOPSequence")
    assert len(references) >= 4  # three key slices, and the region
    for each in references:
        assert each.ReferencedSOPInstanceUID == source.SOPInstanceUID
        assert each.ReferencedSOPClassUID == source.SOPClassUID
        assert 1 <= each.ReferencedFrameNumber <= FRAMES
    (evidence,) = report.CurrentRequestedProcedureEvidenceSequence
    (series,) = evidence.ReferencedSeriesSequence
    assert [each.ReferencedSOPInstanceUID for each in series.ReferencedSOPSequence] == [
        source.SOPInstanceUID
    ]


def test_a_panel_refers_to_the_frame_that_it_names(enhanced: tuple[Dataset, list[Path]]) -> None:
    source, objects = enhanced
    montage, *panels = (
        pydicom.dcmread(path) for path in objects if path.stem.endswith(("montage", "key_slice"))
    )
    frames = []
    for panel in panels:
        (reference,) = panel.SourceImageSequence
        assert reference.ReferencedSOPInstanceUID == source.SOPInstanceUID
        frames.append(reference.ReferencedFrameNumber)
    (shown,) = montage.SourceImageSequence
    assert set(frames) <= set(shown.ReferencedFrameNumber)
    assert f"(frame {frames[0]})" in report_as_text(pydicom.dcmread(objects[0]))


def test_a_frame_is_where_its_plane_position_says(enhanced: tuple[Dataset, list[Path]]) -> None:
    """The image library's Image Position (Patient) Z against that of the referenced frame."""
    source, objects = enhanced
    report = pydicom.dcmread(objects[0])
    positions = {
        n: float(group.PlanePositionSequence[0].ImagePositionPatient[2])
        for n, group in enumerate(source.PerFrameFunctionalGroupsSequence, start=1)
    }
    compared = 0
    for entry in items_of(report, "ContentSequence"):
        if entry.ValueType != "IMAGE" or "ContentSequence" not in entry:
            continue
        (z,) = [
            float(item.MeasuredValueSequence[0].NumericValue)
            for item in entry.ContentSequence
            if item.ConceptNameCodeSequence[0].CodeValue == "110903"
        ]
        assert z == pytest.approx(positions[entry.ReferencedSOPSequence[0].ReferencedFrameNumber])
        compared += 1
    assert compared == 3


def reason(outcome: SeriesOutcome, rule: str) -> str:
    (found,) = [each for each in outcome.reasons if each.rule == rule]
    return str(found.value)


def test_a_series_with_a_localizer_a_sharp_kernel_and_copies_is_analysed_on_its_best_stack(
    tmp_path: Path, settings: Settings
) -> None:
    series = mixed_series(tmp_path / "in")
    (outcome,) = process_folder(tmp_path / "in", tmp_path / "out", settings)
    assert outcome.state == "analysed", [str(r) for r in outcome.reasons]
    assert outcome.series_instance_uid == series
    assert reason(outcome, "localizer") == "1 of 24 instances, left out"
    assert reason(outcome, "copies") == "3 of 24 slices, left out"
    assert reason(outcome, "stacks").startswith(
        "2: Convolution Kernel STANDARD (10 slices) looked at; left out: Convolution Kernel LUNG "
        "(10 slices): fit too, but not the best"
    )
    report = report_as_text(pydicom.dcmread(outcome.objects[0]["path"]))
    assert "Note: stacks: 2: Convolution Kernel STANDARD" in report
    assert "of 10 slices." in report


def mixed_series(folder: Path) -> str:
    """One series: ten slices in a standard kernel, three of them twice, in a sharp one, a scout."""
    standard = write_series(folder / "a", 10, change=kernel("STANDARD"))
    series = str(pydicom.dcmread(standard[0]).SeriesInstanceUID)
    sharp = write_series(folder / "b", 10, seed=1, change=kernel("LUNG"))
    (folder / "c").mkdir()
    copies = [pydicom.dcmread(path) for path in standard[2:5]]
    scout = pydicom.dcmread(LOCALIZER[0])
    frame = pydicom.dcmread(standard[0]).FrameOfReferenceUID
    for n, each in enumerate([*copies, scout, *(pydicom.dcmread(path) for path in sharp)]):
        each.SeriesInstanceUID, each.FrameOfReferenceUID = series, frame
        for keyword in ("StudyInstanceUID", "PatientID", "PatientName", "PatientBirthDate"):
            setattr(each, keyword, copies[0][keyword].value)
        each.SOPInstanceUID = each.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        each.InstanceNumber = 100 + n
        each.save_as(folder / "c" / f"{n}.dcm", enforce_file_format=True)
    for path in sharp:
        path.unlink()
    return series


def kernel(name: str) -> Callable[[Dataset, int], None]:
    def change(data_set: Dataset, _number: int) -> None:
        data_set.ConvolutionKernel = name

    return change


def test_two_slices_at_one_place_with_other_pixels_are_no_copies(tmp_path: Path) -> None:
    files = write_series(tmp_path, 12)
    other = pydicom.dcmread(files[3])
    other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    other.PixelData = bytes(len(other.PixelData))
    other.save_as(tmp_path / "other.dcm", enforce_file_format=True)
    assessment = assess_files([*files, tmp_path / "other.dcm"], EligibilityPolicy())
    failed = {r.rule: str(r.value) for r in assessment.eligibility.failures}
    assert set(failed) == {"evenly_spaced"}
    assert "1 slice at a position already taken" in failed["evenly_spaced"]


def test_the_frames_of_a_multi_frame_copy_are_copies(tmp_path: Path) -> None:
    path = write_multi_frame(tmp_path, 12)
    again = pydicom.dcmread(path)
    again.SOPInstanceUID = again.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    again.save_as(tmp_path / "again.dcm", enforce_file_format=True)
    assessment = assess_files([path, tmp_path / "again.dcm"], EligibilityPolicy())
    assert assessment.eligible
    (found,) = [r for r in assessment.reasons if r.rule == "copies"]
    assert found.value == "12 of 24 slices, left out"
    assert len({h.sop_instance_uid for h in assessment.eligibility.stack.headers}) == 1
