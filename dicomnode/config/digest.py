"""The name of a configuration: whether two are the same, without a look at either."""

from __future__ import annotations

import hashlib
import json

from dicomnode.config.settings import Settings


def settings_digest(settings: Settings) -> str:
    """SHA-256 (hex) of every key, but of the database's URL, which may hold a password."""
    return sha256_of(settings.model_dump(mode="json", exclude={"node": {"database_url"}}))


def sha256_of(value: object) -> str:
    """SHA-256 (hex) of a value as JSON, in whatever order its keys stand."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
