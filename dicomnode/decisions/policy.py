"""A policy: a frozen dataclass whose limits stand at its fields, checked wherever one is made.

By `pydantic.dataclasses`: a value outside its limits is refused by pydantic's ValidationError, a
ValueError; `inference.entry_errors` makes sentences of it for the configuration.
"""

from __future__ import annotations

from typing import Annotated, TypeVar, cast, dataclass_transform

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

NotNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
AeTitle = Annotated[
    str,
    Field(
        min_length=1,
        max_length=16,
        pattern=r"^[\x21-\x5b\x5d-\x7e][\x20-\x5b\x5d-\x7e]*$",
        description="an AE title: 1 to 16 ASCII characters, no backslash, no space first",
    ),
]
"""Application Entity title (PS3.5 section 6.2, VR AE): 16 characters, no backslash or control."""

Port = Annotated[int, Field(ge=1, le=65535)]
T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def policy(cls: type[T]) -> type[T]:
    """The class as a policy: no other entry, no other value, and no number that is none."""
    config = ConfigDict(extra="forbid", allow_inf_nan=False)
    return cast("type[T]", dataclass(frozen=True, config=config)(cls))
