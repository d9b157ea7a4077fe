"""UIDs made from texts, and the digests that go into them.

The form is 2.25.<UUID> (PS3.5 section B.2) with a name-based UUID (RFC 9562 section 5.5). Those of
the result objects themselves: `naming`.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable

from pydicom.uid import UID

from dicomnode.dicom_files.codecs import JPEG_XL

LabelMapSegmentationStorage = UID("1.2.840.10008.5.1.4.1.1.66.7")
"""Not in pydicom's dictionary yet (Supplement 243)."""

_NEWER = {LabelMapSegmentationStorage: "Label Map Segmentation Storage", **JPEG_XL}

_NAMESPACE = uuid.UUID("6f0c2d0e-9a55-4b07-8f1e-3c1d5a7be241")
"""Never to be changed: every UID that this product has given hangs on it."""


def uid_name(uid: str) -> str:
    """As the standard has it (PS3.6 annex A); the UID itself where it is in no dictionary."""
    return _NEWER.get(uid) or UID(uid).name


def derived_uid(*parts: str) -> str:
    """UID from any texts; JSON keeps ("ab", "c") and ("a", "bc") apart."""
    name = json.dumps(parts, ensure_ascii=True, separators=(",", ":"))
    return f"2.25.{uuid.uuid5(_NAMESPACE, name).int}"


def instances_digest(instances: Iterable[tuple[str, str]]) -> str:
    """SHA-256 (hex) of SOP Instance UIDs, each with the digest of its data set, in any order."""
    return _sha256([f"{uid} {sha256}" for uid, sha256 in sorted(set(instances))])


def model_digest(*names: str) -> str:
    """SHA-256 (hex) of what names a model: name, version, weights' SHA-256, and what else does."""
    return _sha256(list(names))


def _sha256(parts: list[str]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
