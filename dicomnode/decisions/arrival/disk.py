"""Is there room for another instance? Refused before the disk is full, and not back and forth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from dicomnode.decisions.policy import policy

_GIB = 1 << 30


@policy
class DiskPolicy:
    """Below one mark instances are refused; only above the other they are taken again.

    What lies below the lower mark is for those that are being received at that moment, the
    database and the results.
    """

    refuse_below_bytes: Annotated[int, Field(ge=0)] = _GIB
    resume_above_bytes: int = 2 * _GIB

    def __post_init__(self) -> None:
        low, high = self.refuse_below_bytes, self.resume_above_bytes
        if low > high:
            raise ValueError(
                f"refuse_below_bytes must be at most resume_above_bytes ({high} bytes), not {low}"
            )


@dataclass(frozen=True)
class DiskSpace:
    """What a file system has left for this user, and its size, in bytes."""

    free_bytes: int
    total_bytes: int

    def __str__(self) -> str:
        return f"{told_bytes(self.free_bytes)} of {told_bytes(self.total_bytes)} are free"


@dataclass(frozen=True)
class DiskVerdict:
    refusing: bool
    why: str


def judge_disk(space: DiskSpace, refusing: bool, policy: DiskPolicy) -> DiskVerdict:
    """Whether new instances are refused now, given whether they were until now."""
    limit = policy.resume_above_bytes if refusing else policy.refuse_below_bytes
    short = space.free_bytes < limit
    name = "resume_above_bytes" if refusing else "refuse_below_bytes"
    sign = "less" if short else "not less"
    return DiskVerdict(short, f"{space}, {sign} than {told_bytes(limit)} (disk.{name})")


def fits(size_bytes: int, space: DiskSpace, policy: DiskPolicy) -> bool:
    """Whether an instance of this size leaves the lower mark untouched (0: size not known)."""
    return space.free_bytes - size_bytes >= policy.refuse_below_bytes


def told_bytes(number: int) -> str:
    return f"{number / _GIB:.2f} GiB" if number >= _GIB else f"{number / (1 << 20):.1f} MiB"
