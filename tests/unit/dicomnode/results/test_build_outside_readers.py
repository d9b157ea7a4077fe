"""Readers that are not ours and not Debian's, on one object of every kind."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - its users' name for it

from dicomnode.results.build import encode
from dicomnode.results.segmentation.segmentation import segmentations
from support.outside_readers import newest_dciodvfy_errors, segments_as_nifti, tid1500
from support.region_samples import COVID, region, regions
from support.result_kinds import DOCUMENTS, PICTURES, every_kind
from support.result_samples import CLASS_NAMES, SETTINGS, context

REPORTS = [kind for kind in DOCUMENTS if "report" in kind and "place of a " not in kind]


def written(kind: str, folder: Path) -> Path:
    file = folder / "object.dcm"
    file.write_bytes(encode(every_kind()[kind]))
    return file


@pytest.mark.parametrize("kind", [*DOCUMENTS, *PICTURES])
def test_the_newest_dciodvfy_finds_no_error(kind: str, tmp_path: Path) -> None:
    """The label map too, which Debian's does not know."""
    assert newest_dciodvfy_errors(written(kind, tmp_path)) == []


@pytest.mark.parametrize("kind", REPORTS)
def test_tid1500reader_reads_each_number_under_its_name(kind: str, tmp_path: Path) -> None:
    told = tid1500(written(kind, tmp_path), tmp_path)
    assert (told["CompletionFlag"], told["VerificationFlag"]) == ("COMPLETE", "UNVERIFIED")
    assert told["observerContext"]["DeviceObserverName"] == SETTINGS.product_name
    groups = told["Measurements"]
    assert groups
    for group in groups:
        assert group["FindingSite"]["CodeMeaning"] == "Lung"
        for item in group["measurementItems"]:
            assert item["quantity"]["CodeMeaning"]
            float(item["value"])
    first = [(i["quantity"]["CodeMeaning"], i["value"]) for i in groups[0]["measurementItems"]]
    if "classification that failed" not in kind:
        names = [f"UNTRAINED probability of {name}" for name in CLASS_NAMES]
        assert first == list(zip(names, ("12.5", "62.5", "25.0"), strict=True))


@pytest.mark.parametrize("kind", ["lungs", "regions", "label map"])
def test_segimage2itkimage_reads_each_segment(kind: str, tmp_path: Path) -> None:
    meta, files = segments_as_nifti(written(kind, tmp_path), tmp_path / "out")
    told = list(chain.from_iterable(meta["segmentAttributes"]))
    items = [s for s in every_kind()[kind].data_set.SegmentSequence if s.SegmentNumber]
    assert [each["SegmentLabel"] for each in told] == [item.SegmentLabel for item in items]
    assert all("Research only" in each["SegmentDescription"] for each in told)
    assert files


def voxels(files: list[Path]) -> int:
    masks = [sitk.GetArrayFromImage(sitk.ReadImage(str(file))) for file in files]
    return sum(int(np.count_nonzero(mask)) for mask in masks)


def test_its_masks_have_our_voxels(tmp_path: Path) -> None:
    whole = context(regions=regions(region(COVID, 0.75)))
    lungs, _ = segmentations(whole)
    file = tmp_path / "lungs.dcm"
    file.write_bytes(encode(lungs))
    _, files = segments_as_nifti(file, tmp_path / "out")
    assert voxels(files) == int(whole.lung_mask.sum())
    image: Any = sitk.ReadImage(str(files[0]))
    assert image.GetSpacing() == pytest.approx((0.75, 0.75, 2.5))
