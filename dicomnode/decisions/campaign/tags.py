"""What an archive tells of a series without sending it: may it be analysed at all?

By the rules of eligibility, as far as what they read is there; what is absent never rejects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dicomnode.decisions.eligibility.attribute_rules import CT_IMAGE_STORAGE
from dicomnode.decisions.eligibility.eligibility import EligibilityPolicy, judge_eligibility
from dicomnode.decisions.instance_header import InstanceHeader
from dicomnode.decisions.reasons import Reason, Verdict


def _is_of_one_slice(header: InstanceHeader) -> bool:
    """VOLUME of a multi-frame CT is no rendering (PS3.3 C.8.16.1.3); its class may not be told."""
    of_one = header.sop_class_uid == CT_IMAGE_STORAGE
    return bool(header.image_type) and (of_one or "VOLUME" not in map(str.upper, header.image_type))


_TOLD_BY: dict[str, Callable[[InstanceHeader], bool]] = {
    "modality": lambda header: bool(header.modality),
    "sop_class": lambda header: bool(header.sop_class_uid),
    "own_result": lambda header: header.made_here,
    "phantom": lambda _header: True,  # by a sign of one alone
    "localizer": lambda header: bool(header.image_type),
    "image_type": _is_of_one_slice,
    "contrast": lambda _header: True,  # by a sign of it alone
    "slice_thickness": lambda header: header.slice_thickness is not None,
}
"""Rules that one instance can fail by itself, and whether what they read is there."""


def judge_tags(
    headers: Sequence[InstanceHeader], instances: int | None, policy: EligibilityPolicy
) -> tuple[Reason, ...]:
    """Why a series need not be had; empty: it may be eligible.

    `headers`: what the archive told of the series, or of some of its instances. A localizer may lie
    beside a scan: only where each of them is rejected the series is. `instances`: how many there
    are; None: nobody knows.
    """
    if few := _too_few(headers, instances, policy):
        return (few,)
    failed = [_failures(header, policy) for header in headers]
    return failed[0] if failed and all(failed) else ()


def is_told(header: InstanceHeader) -> bool:
    """Whether nothing is to be gained by asking for single instances."""
    return bool(header.image_type) and header.slice_thickness is not None


def _failures(header: InstanceHeader, policy: EligibilityPolicy) -> tuple[Reason, ...]:
    return tuple(
        reason
        for reason in judge_eligibility([header], policy).reasons
        if reason.verdict is Verdict.FAIL
        and reason.rule in _TOLD_BY
        and _TOLD_BY[reason.rule](header)
    )


def _too_few(
    headers: Sequence[InstanceHeader], instances: int | None, policy: EligibilityPolicy
) -> Reason | None:
    """Of a class of which each instance is one slice."""
    single = all(header.sop_class_uid == CT_IMAGE_STORAGE for header in headers) and bool(headers)
    if instances is None or instances >= policy.min_slices or not single:
        return None
    limit = f"at least {policy.min_slices}"
    return Reason("slice_count", instances, limit, Verdict.FAIL)
