"""The part of the configuration that shows in results."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from dicomnode.config.digest import sha256_of
from dicomnode.config.settings import Settings
from dicomnode.decisions.result_options import Variant
from dicomnode.methods.bundles import models_digest
from dicomnode.results.common.context import ResultSettings
from dicomnode.results.common.uids import derived_uid
from dicomnode.version import MANUFACTURER, PRODUCT_NAME, VERSION

NOT_OF_AN_ANALYSIS = frozenset({"note", "note_series_number", "rejection_series_number"})
"""Keys of `[results]` that show in no result of an analysis."""

_OF_VARIANTS = frozenset({"sr_class", "segmentation"})


def result_settings(settings: Settings) -> ResultSettings:
    """What a site chose of its results, and which device says that it made them.

    The device is this product at this AE title: its UID stays the same from result to result.
    """
    ae_title = settings.node.ae_title
    return ResultSettings(
        manufacturer=MANUFACTURER,
        product_name=PRODUCT_NAME,
        software_version=VERSION,
        device_serial_number=ae_title,
        device_uid=derived_uid("device", PRODUCT_NAME, ae_title),
        ae_title=ae_title,
        options=settings.results,
    )


def analysis_digest(settings: Settings, variants: Iterable[Variant] = (), models: str = "") -> str:
    """SHA-256 of all settings that can change what an analysis of the same input leaves.

    Not of those that show in notes and withdrawals alone, nor of where results go. It is kept with
    each analysis; no UID is made of it. `variants`: that were asked for, none for that of the
    settings. `models`: digest of those that were loaded; "" for those in the folders now.

    Raises:
        BundleError: the card of a configured bundle cannot be read.
    """
    shown = asdict(settings.results).items()
    asked = set(variants) or {settings.results.variant}
    inference = settings.inference
    asked_precision = [] if inference.precision == "auto" else [inference.precision]
    covered = {
        "version": VERSION,
        "ae_title": settings.node.ae_title,
        "models": models or models_digest(settings),
        "engine": [inference.engine, inference.device, *asked_precision],
        "eligibility": asdict(settings.eligibility),
        "chest": asdict(settings.chest),
        "results": {
            key: value for key, value in shown if key not in NOT_OF_AN_ANALYSIS | _OF_VARIANTS
        },
        "variants": sorted(sorted(each.choices) for each in asked),
    }
    return sha256_of(covered)
