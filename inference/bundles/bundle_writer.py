"""Puts a bundle on disk: card and weights whole, or nothing."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from inference.bundles.bundle import CARD
from inference.bundles.card import Card
from inference.errors import BundleError
from inference.files import write_whole

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = "weights.safetensors"


def digest_of(weights: Mapping[str, Tensor]) -> str:
    """SHA-256, hexadecimal, of the file that these weights become."""
    return hashlib.sha256(_serialised(weights)).hexdigest()


def put_bundle(folder: Path, card: Card, weights: Mapping[str, Tensor]) -> None:
    """Write card and weights beside the folder, then rename them into place.

    Raises:
        BundleError: the folder holds something, or cannot be written.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _write(building, card, weights)
        building.chmod(0o755)
        building.rename(folder)  # replaces an empty folder, and nothing else
    except OSError as error:
        raise BundleError(folder.name, (f"cannot be made: {error.strerror}",)) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _write(folder: Path, card: Card, weights: Mapping[str, Tensor]) -> None:
    data = _serialised(weights)
    whole = replace(card, weights_sha256=hashlib.sha256(data).hexdigest())
    write_whole(folder / WEIGHTS, data)
    write_whole(folder / CARD, whole.as_toml().encode())


def _serialised(weights: Mapping[str, Tensor]) -> bytes:
    from safetensors.torch import save

    data: bytes = save({name: weights[name].contiguous() for name in sorted(weights)})
    return data
