"""What a run of the canary was made with: another one is due once that has changed."""

from __future__ import annotations

from dicomnode.config.digest import settings_digest
from dicomnode.config.settings import Settings
from dicomnode.decisions.operating.canary import Setting
from dicomnode.methods.bundles import models_digest
from dicomnode.synthetic.spacing import SPACING_MM, fine_enough
from dicomnode.version import VERSION


def setting_of(settings: Settings) -> Setting:
    """
    Raises:
        BundleError: the card of a configured bundle cannot be read.
    """
    models, spacing_mm = models_digest(settings), spacing_of(settings)
    if spacing_mm != SPACING_MM:  # other scores: they are compared with those of the same slices
        models = f"{models} on slices of {spacing_mm:g} mm"
    return Setting(VERSION, settings_digest(settings), models)


def spacing_of(settings: Settings) -> float:
    """How far apart, and how thick, slices are sent, in mm: as this node takes them."""
    policy = settings.eligibility
    return fine_enough(min(policy.max_slice_thickness_mm, policy.slice_spacing_limit_mm))
