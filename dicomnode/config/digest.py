"""The name of a configuration: whether two are the same, without a look at either."""

from __future__ import annotations

import hashlib
import json

from dicomnode.config.settings import Settings


def settings_digest(settings: Settings) -> str:
    """SHA-256 (hex) of every key, but of the database's URL, which may hold a password."""
    dumped = settings.model_dump(mode="json", exclude={"node": {"database_url"}})
    return hashlib.sha256(json.dumps(dumped, sort_keys=True).encode()).hexdigest()
