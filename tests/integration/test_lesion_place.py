"""One lesion at a known place in the patient: its segment lies there, however the CT is stored.

The heatmap and the region are held to the same place in their own tests.
"""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import highdicom
import numpy as np
import pytest
from pydicom.dataset import Dataset

from dicomnode.results.build import encode
from dicomnode.results.common.context import ResultContext
from dicomnode.results.segmentation.segmentation import segmentations
from inference.findings import FoundLungs, ModelIdentity, Training
from inference.location_attention.engine import RegionEngine
from inference.location_attention.network import CLASSES
from inference.location_attention.preprocess import RegionPreprocessing
from inference.regions import RegionVote, Side
from inference.volume import CtVolume
from support.blob_network import blob_network
from support.chest_volume import TISSUE_HU, Chest, chest
from support.orientations import AXIAL, Stored, stored, turned
from support.result_samples import SERIES_UID, context, source

MIDDLE_LPS = (-75.0, 20.0, 40.0)
"""Of the lesion, in mm: in the right lung, towards the back, above the middle."""
RADIUS_MM = 18.0
NEAR_MM = 1.5
"""Half a voxel: the middle of the segment is no nearer to that of the ball."""
SIDEWAYS = Stored((2, 0, 1), (False, True, False))
"""Sagittal slices."""


@pytest.fixture(scope="module")
def patient() -> tuple[Chest, CtVolume]:
    drawn = chest((5.0, 3.0, 3.0))
    x, y, z = MIDDLE_LPS
    drawn.paint(drawn.ball(z, y, x, RADIUS_MM), TISSUE_HU)
    made = drawn.volume()
    affine = made.affine.copy()  # of the phantom's own millimetres
    affine[:3, 3] = drawn.x.min(), drawn.y.min(), drawn.z.min()
    return drawn, CtVolume(made.hu, affine)


@pytest.fixture(scope="module")
def engine() -> RegionEngine:
    identity = ModelIdentity("blob", "1", "0" * 64, Training.UNTRAINED)
    settings = RegionPreprocessing(patch_size=32, grid_pixel_mm=3.0)
    return RegionEngine.load(blob_network(), identity, CLASSES, settings, device="cpu")


def segmented(engine: RegionEngine, volume: CtVolume, lungs: np.ndarray) -> Dataset:
    """The segmentation of the one region, whatever its patches were voted, as it is sent."""
    found = engine.analyse(volume, lungs)
    (region,) = found.candidates
    infected = replace(found, regions=(replace(region, vote=RegionVote(0, 0.9)),))
    sources = [source(0) for _ in range(len(volume.hu))]
    for number, header in enumerate(sources, start=1):
        header.SOPInstanceUID = f"{SERIES_UID}.{number}"
    whole: ResultContext = context(
        sources=sources,
        volume=volume,
        findings=None,
        regions=infected,
        lungs=FoundLungs(lungs),
    )
    (of_regions,) = [each for each in segmentations(whole) if each.kind == "region_seg"]
    return highdicom.seg.segread(BytesIO(encode(of_regions)))


@pytest.mark.parametrize("how", [*AXIAL, SIDEWAYS], ids=str)
def test_the_segment_is_where_the_lesion_is(
    engine: RegionEngine, patient: tuple[Chest, CtVolume], how: Stored
) -> None:
    """By the geometry that is written in the object, read by highdicom."""
    drawn, volume = patient
    read = segmented(engine, stored(volume, how), turned(drawn.lungs, how))
    found = read.get_volume(combine_segments=True)
    voxels = np.argwhere(found.array)
    middle = found.map_indices_to_reference(voxels).mean(axis=0)
    assert middle == pytest.approx(MIDDLE_LPS, abs=NEAR_MM)
    assert len(voxels) == pytest.approx(
        np.count_nonzero(drawn.ball(*MIDDLE_LPS[::-1], RADIUS_MM) & drawn.lungs), rel=0.15
    )
    (segment,) = read.SegmentSequence
    (site,) = segment.AnatomicRegionSequence
    assert site.AnatomicRegionModifierSequence[0].CodeMeaning.upper() == Side.RIGHT.name
