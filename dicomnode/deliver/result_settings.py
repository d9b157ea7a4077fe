"""The part of the configuration that shows in results."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from dicomnode.config import Settings
from dicomnode.methods.bundles import models_digest
from dicomnode.results.common.context import AllSlices, ResultSettings, SegmentationKind, SrClass
from dicomnode.results.common.uids import derived_uid
from dicomnode.version import MANUFACTURER, PRODUCT_NAME, VERSION

_NOT_OF_AN_ANALYSIS = frozenset({"note", "note_series_number", "rejection_series_number"})
"""Keys of `[results]` that show in no result of an analysis."""


def result_settings(settings: Settings) -> ResultSettings:
    """The part of the configuration that shows in results.

    The device is this product at this AE title: its UID stays the same from result to result.
    """
    results, ae_title = settings.results, settings.node.ae_title
    return ResultSettings(
        manufacturer=MANUFACTURER,
        product_name=PRODUCT_NAME,
        software_version=VERSION,
        device_serial_number=ae_title,
        device_uid=derived_uid("device", PRODUCT_NAME, ae_title),
        ae_title=ae_title,
        institution_name=results.institution_name,
        key_slices=results.key_slices,
        sr_class=SrClass(results.sr_class),
        sr_series_number=results.sr_series_number,
        sc_series_number=results.sc_series_number,
        segmentation=SegmentationKind(results.segmentation),
        seg_series_number=results.seg_series_number,
        all_slices=AllSlices(results.all_slices),
        multi_frame=results.multi_frame,
        all_slices_series_number=results.all_slices_series_number,
        region_seg_series_number=results.region_seg_series_number,
    )


def analysis_digest(settings: Settings) -> str:
    """SHA-256 of all settings that can change what an analysis of the same input leaves.

    Not of those that show in notes and withdrawals alone. It is kept with each analysis; no UID
    is made of it.

    Raises:
        BundleError: the card of a configured bundle cannot be read.
    """
    results = settings.results.model_dump(exclude=set(_NOT_OF_AN_ANALYSIS))
    covered = {
        "version": VERSION,
        "ae_title": settings.node.ae_title,
        "models": models_digest(settings),
        "engine": [settings.inference.engine, settings.inference.device],
        "eligibility": asdict(settings.eligibility),
        "chest": asdict(settings.chest),
        "results": results,
    }
    return hashlib.sha256(json.dumps(covered, sort_keys=True).encode()).hexdigest()
