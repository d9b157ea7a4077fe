"""The documents under `etc/docs/`, and what stands in them: links, words in backticks, tables."""

from __future__ import annotations

import re
from pathlib import Path

from support.sources import ROOT

DOCS = ROOT / "etc" / "docs"
PAGES = sorted(DOCS.glob("*.md"))

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+(?:\n[^`\n]+)?)`")
_LINK = re.compile(r"\[[^]]*\]\(([^)\s]+)\)")


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose(text: str) -> str:
    """Without what is fenced."""
    return _FENCE.sub("", text)


def fenced(text: str, language: str) -> list[str]:
    return [inside for kind, inside in _FENCE.findall(text) if kind == language]


def spans(text: str) -> list[str]:
    """What stands in backticks, each on one line."""
    return [" ".join(each.split()) for each in _SPAN.findall(prose(text))]


def links(text: str) -> list[str]:
    return _LINK.findall(prose(text))


def anchors(text: str) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    words = (re.sub(r"[^\w\- ]", "", each.lower()) for each in headings)
    return {each.replace(" ", "-") for each in words}


def rows_below(text: str, heading: str = "") -> list[list[str]]:
    """The rows of the tables below a heading, until the next one; of all headings where it is
    empty. Without head and rule."""
    parts = re.split(r"^(#+ .+)$", text, flags=re.MULTILINE)
    sections = zip(parts[1::2], parts[2::2], strict=True)
    chosen = [body for title, body in sections if title.lstrip("# ").startswith(heading)]
    assert chosen, f"no heading begins with {heading!r}"
    return [row for body in chosen for row in _rows(body)]


def _rows(body: str) -> list[list[str]]:
    lines = body.splitlines()
    rules = [number for number, line in enumerate(lines) if re.fullmatch(r"\|[-|]+\|", line)]
    found = []
    for rule in rules:
        for line in lines[rule + 1 :]:
            if not line.startswith("|"):
                break
            found.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return found


def names_in(cells: list[str]) -> set[str]:
    """The words in backticks in these cells."""
    return {name for cell in cells for name in spans(cell)}
