"""Which SOP classes are storage classes of patients' instances, also those that are yet to come."""

from __future__ import annotations

from functools import lru_cache

from pydicom.uid import UID

_NO_STORAGE = frozenset(
    {
        "1.2.840.10008.1.3.10",  # Media Storage Directory Storage, for media alone
        "1.2.840.10008.1.20.1",  # Storage Commitment Push Model
        "1.2.840.10008.1.20.2",  # Storage Commitment Pull Model
        # of no patient, study or series (PS3.4 annex GG): nothing to file them by
        "1.2.840.10008.5.1.4.1.1.200.1",  # CT Defined Procedure Protocol Storage
        "1.2.840.10008.5.1.4.1.1.200.3",  # Protocol Approval Storage
        "1.2.840.10008.5.1.4.1.1.200.7",  # XA Defined Procedure Protocol Storage
        "1.2.840.10008.5.1.4.1.1.201.1",  # Inventory Storage
        "1.2.840.10008.5.1.4.38.1",  # Hanging Protocol Storage
        "1.2.840.10008.5.1.4.39.1",  # Color Palette Storage
        "1.2.840.10008.5.1.4.43.1",  # Generic Implant Template Storage
        "1.2.840.10008.5.1.4.44.1",  # Implant Assembly Template Storage
        "1.2.840.10008.5.1.4.45.1",  # Implant Template Group Storage
    }
)

_ROOTS_WITHOUT_STORAGE = (
    "1.2.840.10008.1.",  # verification, directories, commitment, logging
    "1.2.840.10008.3.1.",  # management of studies, results and procedure steps
    "1.2.840.10008.4.",  # service classes
    "1.2.840.10008.5.1.1.",  # print management, display system
    "1.2.840.10008.5.1.4.1.2.",  # query and retrieve
)
"""Of the standard; what it will name there is no storage class either."""


@lru_cache(maxsize=4096)
def is_storage_class(uid: str) -> bool:
    """Whether instances of patients are stored by C-STORE under this SOP class (PS3.4 annex B).

    Retired and private ones too, and those that are newer than this program: a context that is
    refused makes a PACS report errors for the whole study.
    """
    known = UID(uid)
    if known.is_private:
        return True
    if known.type:
        return known.type == "SOP Class" and "Storage" in known.name and uid not in _NO_STORAGE
    return not uid.startswith(_ROOTS_WITHOUT_STORAGE)
