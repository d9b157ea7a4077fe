"""Slices that are in a series twice: another UID, the same attributes, the same pixels.

A workstation or a router that sends a series again under new SOP Instance UIDs leaves such copies
(PS3.3 C.12.1.1 forbids them for what is the same instance). One of each is enough.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from dicomnode.decisions.geometry import number_key
from dicomnode.decisions.instance_header import InstanceHeader, SliceKey
from dicomnode.decisions.patient_attributes import PatientAttributes


def possible_copies(headers: Sequence[InstanceHeader]) -> frozenset[SliceKey]:
    """Slices whose attributes are all those of another one: their pixels are to be compared."""
    likes = [_content(replace(header, pixel_data_sha256="")) for header in headers]
    counts = Counter(likes)
    return frozenset(
        header.slice_key
        for header, like in zip(headers, likes, strict=True)
        if counts[like] > 1 and header.image_position_patient is not None
    )


def without_copies(headers: Sequence[InstanceHeader]) -> tuple[InstanceHeader, ...]:
    """One of each slice, that with the lowest Instance Number; the same for any order.

    Slices whose pixels were not compared (`pixel_data_sha256` empty) all stay.
    """
    seen: set[InstanceHeader] = set()
    kept = []
    for header in sorted(headers, key=number_key):
        content = _content(header)
        if header.pixel_data_sha256 and content in seen:
            continue
        seen.add(content)
        kept.append(header)
    return tuple(kept)


def _content(header: InstanceHeader) -> InstanceHeader:
    """The header without what names the slice."""
    return replace(
        header,
        sop_instance_uid="",
        patient=PatientAttributes(),  # whose it is, is a question of its own
        instance_number=None,
        number_of_frames=1,
        frame_number=None,
    )
