"""Sentences about wrong entries, one for each kind of limit."""

from __future__ import annotations

from dataclasses import make_dataclass
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from inference.entry_errors import read_entries

KINDS: list[tuple[Any, object, str]] = [
    (Annotated[float, Field(lt=1)], 1, "1 is given, but it must be a number of less than 1"),
    (Annotated[int, Field(le=5)], 6, "6 is given, but it must be a whole number of at most 5"),
    (
        Annotated[str, Field(min_length=2)],
        "a",
        "'a' is given, but it must be text of at least 2 char",
    ),
    (Annotated[str, Field(max_length=2)], "abc", "'abc' is given, but it must be text of 0 to 2"),
    (Annotated[tuple[int, ...], Field(min_length=1)], [], "a list that is not empty, each a whole"),
    (Literal["one"], "two", "'two' is given, but it must be 'one'"),
    (int | None, "x", "'x' is given, but it must be a whole number"),
    (int, None, "nothing is given"),
    (bool, 1, "1 is given, but it must be true or false"),
]


@pytest.mark.parametrize(("kind", "value", "sentence"), KINDS)
def test_what_is_allowed_is_told(kind: Any, value: object, sentence: str) -> None:
    (found,) = read_entries(make_dataclass("Record", [("a", kind)]), {"a": value})
    assert found.startswith("a: ")
    assert sentence in found
