"""Slices that are in a series twice: another UID, the same place, the same pixels.

A workstation or a router that sends a series again under new SOP Instance UIDs leaves such copies
(PS3.3 C.12.1.1 forbids them for what is the same instance), often with other numbers, times and
descriptions. Two ranges of one scan that overlap have them too. One of each is enough.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Any

from dicomnode.decisions.contrast.contrast import Contrast, attribute_witness
from dicomnode.decisions.contrast.text import text_witness
from dicomnode.decisions.instance_header import InstanceHeader, SliceKey
from dicomnode.decisions.patient_attributes import PatientAttributes
from dicomnode.decisions.stack.attributes import ALWAYS, IN_RUNS
from dicomnode.decisions.stack.geometry import number_key

TRIVIAL: dict[str, Any] = {
    **dict.fromkeys(("sop_instance_uid", "transfer_syntax_uid", "frame_of_reference_uid"), ""),
    **dict.fromkeys(("series_description", "study_description", "protocol_name"), ""),
    **dict.fromkeys(("requested_procedure_description", "image_comments"), ""),
    **dict.fromkeys(("performed_procedure_step_description", "concatenation_uid"), ""),
    **dict.fromkeys(("acquisition_time", "temporal_position", "cardiac_phase", "stack_id"), ""),
    **dict.fromkeys(("contrast_bolus_agent", "contrast_bolus_route", "contrast_phase"), ""),
    **dict.fromkeys(("contrast_bolus_volume", "contrast_bolus_start_time"), ""),
    "contrast_flow_rate": "",
    "contrast_bolus_agent_sequence": False,
    **dict.fromkeys(("instance_number", "frame_number", "acquisition_number"), None),
    **dict.fromkeys(("number_of_series_related_instances", "images_in_acquisition"), None),
    "in_concatenation_total_number": None,
    "number_of_frames": 1,
    "spacing_between_slices": None,
    **dict.fromkeys(("rescale_slope", "rescale_intercept"), None),  # pixels are compared in HU
    "patient": PatientAttributes(),  # whose it is, is a question of its own
    **dict.fromkeys(("labels", "descriptions", "contrast_told"), ()),
    "problems": (),
    "pixel_data_sha256": "",
}
"""Fields of a header that may differ between copies, and what stands for them."""

_OF_ONE_ACQUISITION = (*ALWAYS, *IN_RUNS)

_MM_DIGITS, _COSINE_DIGITS = 2, 4
"""Copies are written anew, with other decimals."""


def possible_copies(headers: Sequence[InstanceHeader]) -> frozenset[SliceKey]:
    """Slices at the place of another one, and like it: their pixels are to be compared."""
    placed = [header for header in headers if header.image_position_patient is not None]
    shared = Counter(map(_place, placed))
    likes = [(each, _likeness(each)) for each in placed if shared[_place(each)] > 1]
    counts = Counter(like for _, like in likes)
    return frozenset(header.slice_key for header, like in likes if counts[like] > 1)


def without_copies(headers: Sequence[InstanceHeader]) -> tuple[InstanceHeader, ...]:
    """One of each slice; the same for any order.

    Of copies one that tells of contrast stays, for it was given whatever another says; then one
    whose acquisition has the most slices, so that all come from one; then that with the lowest
    Instance Number. Slices whose pixels were not compared
    (`pixel_data_sha256` empty) all stay.
    """
    compared = [header for header in headers if header.pixel_data_sha256]
    if not compared:
        return tuple(sorted(headers, key=number_key))
    best: dict[Hashable, InstanceHeader] = {}
    for header in sorted(compared, key=_from_the_longest(headers)):
        best.setdefault(_content(header), header)
    others = [header for header in headers if not header.pixel_data_sha256]
    return tuple(sorted([*best.values(), *others], key=number_key))


def _from_the_longest(
    headers: Sequence[InstanceHeader],
) -> Callable[[InstanceHeader], tuple[Any, ...]]:
    """Sorts what belongs to the acquisition with the most slices first."""
    counts = [(tells.read, Counter(map(tells.read, headers))) for tells in _OF_ONE_ACQUISITION]

    def rank(header: InstanceHeader) -> tuple[Any, ...]:
        values = [
            (-count[value], repr(value)) for read, count in counts for value in [read(header)]
        ]
        return (not _tells_of_contrast(header), values, number_key(header))

    return rank


def _tells_of_contrast(header: InstanceHeader) -> bool:
    witnesses = attribute_witness((header,)), text_witness((header,))
    return any(witness.verdict is Contrast.YES for witness in witnesses)


def _place(header: InstanceHeader) -> Hashable:
    return (
        header.rows,
        header.columns,
        _rounded(header.image_position_patient, _MM_DIGITS),
        _rounded(header.image_orientation_patient, _COSINE_DIGITS),
        _rounded(header.pixel_spacing, _COSINE_DIGITS),
    )


def _rounded(values: Sequence[float] | None, digits: int) -> Hashable:
    return None if values is None else tuple(round(value, digits) + 0.0 for value in values)


def _likeness(header: InstanceHeader) -> Hashable:
    """What copies have in common beside their pixels."""
    same = replace(
        header,
        **TRIVIAL,
        image_position_patient=None,
        image_orientation_patient=None,
        pixel_spacing=None,
    )
    return (_place(header), same)


def _content(header: InstanceHeader) -> Hashable:
    return (header.pixel_data_sha256, _likeness(header))
