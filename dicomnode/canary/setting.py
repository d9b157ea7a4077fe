"""What a run of the canary was made with: another one is due once that has changed."""

from __future__ import annotations

from dicomnode.config.digest import settings_digest
from dicomnode.config.settings import Settings
from dicomnode.decisions.operating.canary import Setting
from dicomnode.methods.bundles import models_digest
from dicomnode.version import VERSION


def setting_of(settings: Settings) -> Setting:
    """
    Raises:
        BundleError: the card of a configured bundle cannot be read.
    """
    return Setting(VERSION, settings_digest(settings), models_digest(settings))
