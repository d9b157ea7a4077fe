"""What to change where a destination takes no objects of a SOP class."""

from __future__ import annotations

_SR = "1.2.840.10008.5.1.4.1.1.88."
_KEYS = (
    (_SR + "34", 'sr_class = "comprehensive" or "enhanced"'),
    (_SR + "33", 'sr_class = "enhanced"'),
    (_SR + "22", 'sr_class = "comprehensive" or "comprehensive_3d"'),
    (_SR + "11", 'note = "off", where it is about a series that was not analysed'),
    (_SR + "59", "rejection_notes = false"),
    ("1.2.840.10008.5.1.4.1.1.66.7", 'segmentation = "binary" or "off"'),
    ("1.2.840.10008.5.1.4.1.1.66.", 'segmentation = "off"'),
    ("1.2.840.10008.5.1.4.1.1.7.", "multi_frame = false"),
)
"""Beginnings of SOP Class UIDs (PS3.4 table B.5-1), the first that fits, and keys of ours."""


OR_THERE = ", or have the class accepted there"
"""How an advice ends that names a key of ours: what was made before is of the class of then."""


def class_advice(sop_class_uid: str) -> str:
    """A half sentence; for who is not known to have a key, what the other side can do."""
    key = next((key for begin, key in _KEYS if sop_class_uid.startswith(begin)), "")
    return f"set {key}{OR_THERE}" if key else "have the class accepted there"
