from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from inference.bundles.class_codes import known_classes
from inference.bundles.tasks import NO_INFECTION
from inference.errors import DeviceError, NetworkOutputError, NoLungsError
from inference.findings import Findings, ModelIdentity, Training
from inference.location_attention.engine import RegionEngine
from inference.location_attention.findings import answer_of
from inference.location_attention.network import CLASSES, LocationAttention
from inference.location_attention.preprocess import RegionPreprocessing
from inference.location_attention.torch_backend import HALF_TOLERANCE
from inference.location_attention.votes import verdict, vote
from inference.regions import CandidateRegion, Side
from inference.ties import TIE
from inference.training.regions.initial import draw_like
from inference.volume import CtVolume
from support.blob_network import blob_network
from support.chest_volume import LUNG_HU, TISSUE_HU, Chest, chest, dice
from support.orientations import AXIAL, Stored, stored, turned

IDENTITY = ModelIdentity("test", "1", "0" * 64, Training.UNTRAINED)
SETTINGS = RegionPreprocessing(patch_size=32, grid_pixel_mm=3.0)
BALL_MM = (40.0, -20.0, 75.0)
"""Of the blob in the left lung: z, y, x from the middle of the phantom."""
RADIUS_MM = 18.0
EASY = replace(SETTINGS, score_threshold=0.05)
"""With which weights without training find something in any chest."""
BALL_ML = 4 / 3 * np.pi * RADIUS_MM**3 / 1000


def _engine(network: LocationAttention, settings: RegionPreprocessing = SETTINGS) -> RegionEngine:
    return RegionEngine.load(network, IDENTITY, CLASSES, settings, device="cpu")


def _patient(spacing: tuple[float, float, float] = (5.0, 3.0, 3.0)) -> Chest:
    """A chest with one ball of soft tissue in the left lung; the ball counts as lung."""
    drawn = chest(spacing)
    drawn.paint(drawn.ball(*BALL_MM, RADIUS_MM), TISSUE_HU)
    return drawn


def _ball_lps(volume: CtVolume) -> tuple[float, float, float]:
    """Patient position of the ball: the phantom's voxel (0, 0, 0) lies at LPS (0, 0, 0)."""
    middle = [
        (length - 1) / 2 * mm for length, mm in zip(volume.hu.shape, volume.spacing_mm, strict=True)
    ]
    z, y, x = (of + at for of, at in zip(BALL_MM, middle, strict=True))
    return x, y, z


@pytest.fixture(scope="module")
def patient() -> Chest:
    return _patient()


@pytest.fixture(scope="module")
def blob_engine() -> RegionEngine:
    return _engine(blob_network())


@pytest.fixture(scope="module")
def found(blob_engine: RegionEngine, patient: Chest) -> Findings:
    return blob_engine.analyse(patient.volume(), patient.lungs)


@pytest.fixture(scope="module")
def untrained_engine() -> RegionEngine:
    """The real initialisation on a narrow V-Net."""
    return _engine(_untrained(0), EASY)


def _untrained(seed: int) -> LocationAttention:
    network = LocationAttention(width=2)
    network.load_state_dict(draw_like(network, seed))
    return network


def test_the_one_bright_ball_is_the_one_region(found: Findings, patient: Chest) -> None:
    (region,) = found.candidates
    assert region.centre_lps_mm == pytest.approx(_ball_lps(patient.volume()), abs=6.0)
    assert region.score > 0.5
    assert region.box_ml == pytest.approx(48**3 / 1000, rel=0.01)
    assert region.lesion_ml == pytest.approx(BALL_ML, rel=0.1)
    assert region.side is Side.LEFT


def test_the_lesion_is_the_ball(found: Findings, patient: Chest) -> None:
    """Voxel by voxel, but for those that the grid's coarser cells blur."""
    (region,) = found.candidates
    mask = np.zeros(patient.hu.shape, np.bool_)
    mask[region.box.part] = region.lesion.array
    assert dice(mask, patient.ball(*BALL_MM, RADIUS_MM) & patient.lungs) > 0.9
    assert not (mask & ~patient.lungs).any()
    assert region.lesion_ml == pytest.approx(mask.sum() * patient.volume().voxel_ml)


def _index_of(volume: CtVolume, lps: tuple[float, float, float]) -> list[float]:
    index: list[float] = (np.linalg.inv(volume.affine) @ [*lps, 1.0])[:3].tolist()
    return index


def _holds(region: CandidateRegion, index: list[float]) -> bool:
    intervals = (region.box.slices, region.box.rows, region.box.columns)
    return all(
        start - 0.5 <= i < stop - 0.5 for (start, stop), i in zip(intervals, index, strict=True)
    )


@pytest.mark.parametrize(
    "how",
    [*AXIAL, Stored((2, 0, 1), (False, True, False)), Stored((1, 0, 2), (False, True, True))],
    ids=str,
)
def test_the_region_is_at_its_place_in_the_patient_however_stored(
    blob_engine: RegionEngine, found: Findings, patient: Chest, how: Stored
) -> None:
    volume = stored(patient.volume(), how)
    (region,) = blob_engine.analyse(volume, turned(patient.lungs, how)).candidates
    assert region.centre_lps_mm == pytest.approx(found.candidates[0].centre_lps_mm, abs=1e-6)
    assert _holds(region, _index_of(volume, _ball_lps(patient.volume())))
    assert region.vote == found.candidates[0].vote
    assert region.side is Side.LEFT
    assert region.lesion.voxels == found.candidates[0].lesion.voxels
    lesion = np.argwhere(region.lesion.array) + [part.start for part in region.box.part]
    middle = volume.to_lps(tuple(lesion.mean(axis=0)))
    assert middle == pytest.approx(_ball_lps(patient.volume()), abs=1.5)
    image = region.patches[0].image_index
    of_image = np.moveaxis(volume.hu, how.order.index(0), 0)[image]
    assert (of_image[of_image < TISSUE_HU - 100] < LUNG_HU + 200).any()
    start, stop = (region.box.slices, region.box.rows, region.box.columns)[how.order.index(0)]
    assert start <= image < stop


def test_box_and_volumes_in_anisotropic_voxels(blob_engine: RegionEngine) -> None:
    drawn = _patient((8.0, 1.5, 2.5))
    (region,) = blob_engine.analyse(drawn.volume(), drawn.lungs).candidates
    assert region.centre_lps_mm == pytest.approx(_ball_lps(drawn.volume()), abs=8.0)
    assert region.lesion_ml == pytest.approx(BALL_ML, rel=0.15)
    sides = (region.box.slices, region.box.rows, region.box.columns)
    for (start, stop), mm in zip(sides, (8.0, 1.5, 2.5), strict=True):
        assert (stop - start) * mm == pytest.approx(48, abs=mm)


def test_the_findings_follow_from_the_patches(found: Findings) -> None:
    (region,) = found.candidates
    probabilities = [patch.probabilities for patch in region.patches]
    assert all(sum(each) == pytest.approx(1.0) for each in probabilities)
    assert region.vote == vote(probabilities)
    assert found.answer == answer_of(verdict([region.vote], 3), known_classes(CLASSES[:-1]))
    centre, below, above = (patch.image_index for patch in region.patches)
    assert (below, above) == (centre - 1, centre + 1)
    assert all(0 < patch.relative_distance < 0.5 for patch in region.patches)


def test_the_findings_bear_model_classes_and_times(found: Findings) -> None:
    assert found.model == IDENTITY
    assert found.answer.region_names == CLASSES
    assert found.answer.names == CLASSES[:2]
    assert list(found.seconds) == ["grid", "regions", "patches", "classes", "lesions"]


def test_a_clean_chest_has_no_infection(blob_engine: RegionEngine) -> None:
    drawn = chest((10.0, 3.0, 3.0))
    found = blob_engine.analyse(drawn.volume(), drawn.lungs)
    assert found.candidates == found.infections == ()
    assert found.answer.outcome.name == NO_INFECTION
    assert found.answer.scores == (0.0, 0.0)


@pytest.mark.parametrize("favoured", range(3))
def test_the_outcome_is_the_class_that_the_patches_show(patient: Chest, favoured: int) -> None:
    network = blob_network()
    with torch.no_grad():
        network.classifier.fc3.weight.zero_()
        network.classifier.fc3.bias.copy_(torch.eye(3)[favoured] * 2)
    found = _engine(network).analyse(patient.volume(), patient.lungs)
    confidence = np.exp(2) / (np.exp(2) + 2)
    assert found.candidates[0].vote.confidence == pytest.approx(confidence, rel=1e-5)
    if favoured == 2:
        assert (found.answer.outcome.name, found.infections) == (NO_INFECTION, ())
    else:
        assert found.answer.outcome.name == CLASSES[favoured]
        assert found.answer.scores[favoured] == pytest.approx(confidence, rel=1e-5)


def test_the_distance_reaches_the_classes(patient: Chest, found: Findings) -> None:
    """The same network and patches, the distance left out: other probabilities."""
    deaf = replace(SETTINGS, distance_scale=0.0)
    without = _engine(blob_network(), deaf).analyse(patient.volume(), patient.lungs)
    one, other = found.candidates[0].patches[0], without.candidates[0].patches[0]
    assert one.relative_distance == other.relative_distance > 0
    assert one.probabilities != pytest.approx(other.probabilities, abs=1e-4)


def test_the_same_volume_gives_the_same_numbers(
    untrained_engine: RegionEngine, patient: Chest
) -> None:
    one, two = (untrained_engine.analyse(patient.volume(), patient.lungs) for _ in range(2))
    assert len(one.candidates) > 0
    assert (one.candidates, one.answer) == (two.candidates, two.answer)


def test_untrained_weights_give_a_bounded_number_of_different_regions(patient: Chest) -> None:
    by_seed = [
        _engine(_untrained(seed), EASY).analyse(patient.volume(), patient.lungs) for seed in (0, 1)
    ]
    assert by_seed[0].candidates != by_seed[1].candidates
    for found in by_seed:
        assert 1 <= len(found.candidates) <= SETTINGS.most_regions
        scores = [region.score for region in found.candidates]
        assert all(after <= one + TIE for one, after in pairwise(scores))
        assert len({region.vote.confidence for region in found.candidates}) == len(found.candidates)
        assert all(0.34 < region.vote.confidence < 0.95 for region in found.candidates)


def test_progress_tells_of_tiles_and_patches(blob_engine: RegionEngine, patient: Chest) -> None:
    told: list[tuple[str, int, int]] = []
    blob_engine.analyse(patient.volume(), patient.lungs, lambda *step: told.append(step))
    assert [step for step in told if step[0] == "classes"] == [("classes", 0, 3), ("classes", 3, 3)]
    tiles = [step[1:] for step in told if step[0] == "regions"]
    assert tiles[0][0] == 0
    assert tiles[-1][0] == tiles[-1][1] >= 1


@pytest.mark.parametrize("slices", [1, 2])
def test_one_slice_is_analysed(blob_engine: RegionEngine, patient: Chest, slices: int) -> None:
    volume = patient.volume()
    at = round((volume.hu.shape[0] - 1) / 2 + BALL_MM[0] / 5)
    part = CtVolume(volume.hu[at : at + slices], volume.affine)
    found = blob_engine.analyse(part, patient.lungs[at : at + slices])
    for region in found.candidates:
        assert region.box.slices[1] <= slices
        assert {patch.image_index for patch in region.patches} <= set(range(slices))
    assert found.model == IDENTITY


@pytest.mark.parametrize("hu", [-1024, 0, 3000])
def test_a_constant_volume_gives_findings(blob_engine: RegionEngine, hu: int) -> None:
    volume = CtVolume(np.full((20, 64, 64), hu, np.int16), np.diag([5.0, 3.0, 3.0, 1.0]))
    lungs = np.zeros(volume.hu.shape, np.bool_)
    lungs[2:18, 16:48, 16:48] = True
    found = blob_engine.analyse(volume, lungs)
    assert len(found.candidates) <= SETTINGS.most_regions
    assert (len(found.candidates) > 0) == (hu > -500)


def test_a_thousand_thin_slices(blob_engine: RegionEngine) -> None:
    """0.25 mm, so that the patient is the same; tiles bound the memory, not the slices."""
    drawn = _patient((0.26, 6.0, 6.0))
    assert len(drawn.hu) == 1000
    (region,) = blob_engine.analyse(drawn.volume(), drawn.lungs).candidates
    assert region.centre_lps_mm == pytest.approx(_ball_lps(drawn.volume()), abs=6.0)


def test_an_empty_mask_is_a_named_error(blob_engine: RegionEngine, patient: Chest) -> None:
    with pytest.raises(NoLungsError):
        blob_engine.analyse(patient.volume(), np.zeros_like(patient.lungs))


def test_a_classifier_without_numbers_is_a_named_error(patient: Chest) -> None:
    network = blob_network()
    with torch.no_grad():
        network.classifier.fc3.bias.fill_(float("nan"))
    with pytest.raises(NetworkOutputError, match="classifier"):
        _engine(network).analyse(patient.volume(), patient.lungs)


def test_what_does_not_fit_is_refused_at_load() -> None:
    wrong = replace(SETTINGS, patch_size=33)
    with pytest.raises(ValueError, match=r"patch_size 33.*; 2 classes for 3 outputs"):
        RegionEngine.load(blob_network(), IDENTITY, ("a", "b"), wrong)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_asked_for_and_absent_is_a_named_error() -> None:
    with pytest.raises(DeviceError, match="no CUDA GPU"):
        RegionEngine.load(blob_network(), IDENTITY, CLASSES, SETTINGS, device="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
def test_a_gpu_agrees_with_the_processor(untrained_engine: RegionEngine, patient: Chest) -> None:
    wanted = untrained_engine.analyse(patient.volume(), patient.lungs)
    engine = RegionEngine.load(_untrained(0), IDENTITY, CLASSES, EASY, device="cuda")
    found = engine.analyse(patient.volume(), patient.lungs)
    assert (engine.device, engine.backend) == ("cuda", "torch")
    one, other = found.candidates[0], wanted.candidates[0]  # those near a threshold may differ
    assert one.score == pytest.approx(other.score, abs=HALF_TOLERANCE)
    assert one.centre_lps_mm == pytest.approx(other.centre_lps_mm, abs=1.0)
    assert one.vote.confidence == pytest.approx(other.vote.confidence, abs=HALF_TOLERANCE)
