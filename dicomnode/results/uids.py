"""UIDs of result objects: a pure function of what they were made from.

The same series, model and settings give the same UIDs on every node and at every time, so that a
resend makes no second result. The form is 2.25.<UUID> (PS3.5 section B.2) with a name-based UUID
(RFC 9562 section 5.5).
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from pydicom.uid import UID

LabelMapSegmentationStorage = UID("1.2.840.10008.5.1.4.1.1.66.7")
"""Not in pydicom's dictionary yet (Supplement 243)."""

_NAMESPACE = uuid.UUID("6f0c2d0e-9a55-4b07-8f1e-3c1d5a7be241")
"""Never to be changed: every UID that this product has given hangs on it."""


@dataclass(frozen=True)
class UidSeed:
    """What a set of results was made from. Another value of any field gives other UIDs."""

    source_series_uid: str
    source_digest: str  # `instances_digest` of all that came for the series
    model_digest: str  # `model_digest` of network, version and weights
    configuration_digest: str
    revision: int = 0  # raised when the same input must be reported anew
    failed: str = ""  # what failed of the analysis: a later one, whole, has other UIDs

    def uid(self, kind: str, sop_class_uid: str, source_sop_uid: str = "") -> str:
        """UID of one object or series.

        `kind` says which of the set it is, `source_sop_uid` which source instance it shows,
        where there is one object for each.
        """
        return derived_uid(
            self.source_series_uid,
            self.source_digest,
            self.model_digest,
            self.configuration_digest,
            kind,
            sop_class_uid,
            source_sop_uid,
            str(self.revision),
            *([self.failed] if self.failed else []),
        )


def derived_uid(*parts: str) -> str:
    """UID from any texts; JSON keeps ("ab", "c") and ("a", "bc") apart."""
    name = json.dumps(parts, ensure_ascii=True, separators=(",", ":"))
    return f"2.25.{uuid.uuid5(_NAMESPACE, name).int}"


def instances_digest(instances: Iterable[tuple[str, str]]) -> str:
    """SHA-256 (hex) of SOP Instance UIDs, each with the digest of its data set, in any order."""
    return _sha256([f"{uid} {sha256}" for uid, sha256 in sorted(set(instances))])


def model_digest(name: str, version: str, weights_sha256: str) -> str:
    """SHA-256 (hex) of what names a model."""
    return _sha256([name, version, weights_sha256])


def _sha256(parts: list[str]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
