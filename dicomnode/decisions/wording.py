"""Words for people: how many of a thing."""

from __future__ import annotations


def how_many(number: int, thing: str) -> str:
    """`1 delivery`, `2 deliveries`, `3 series`."""
    if number == 1 or thing.endswith("s"):
        return f"{number} {thing}"
    return f"{number} {thing[:-1]}ies" if thing.endswith("y") else f"{number} {thing}s"
