"""The configured model bundle, ready to be loaded by the workers."""

from __future__ import annotations

from dicomnode.config import Settings
from inference.bundle import Bundle, load_bundle
from inference.untrained import make_untrained_bundle


def prepare_bundle(settings: Settings) -> Bundle:
    """Check the configured bundle; make the untrained one where none is named.

    Raises:
        BundleError: the bundle is not whole, or its card does not fit its weights; says what.
    """
    if not settings.inference.bundle:
        make_untrained_bundle(settings.bundle_folder)
    return load_bundle(settings.bundle_folder)
