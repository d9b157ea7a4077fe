"""On which line of a TOML document each of its entries stands: `tomllib` tells of values only.

For documents that `tomllib` has read: what is no TOML is told by it, and not looked for here. The
grammar is that of TOML 1.0.0 (https://toml.io/en/v1.0.0).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping

from inference.entry_errors import At

_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'  # up to two quotation marks may stand before the closing three
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'"
    r"|#[^\n]*"
    r"|[\[\]{}=,.\n]"
    r"|[ \t\r]+"
    r"|[^\[\]{}=,.\s#\"']+",
    re.DOTALL,
)


class _Scanner:
    """Reads one document from its first token to its last."""

    def __init__(self, text: str) -> None:
        self.lines: dict[At, int] = {}
        self._lengths: dict[At, int] = {}  # of lists of tables, so far
        self._tokens: list[tuple[str, int]] = []
        line = 1
        for found in _TOKEN.finditer(text):
            part = found.group()
            if part.strip(" \t\r") and not part.startswith("#"):
                self._tokens.append((part, line))
            line += part.count("\n")
        self._at = 0

    def document(self) -> None:
        table: At = ()
        while self._at < len(self._tokens):
            if self._next == "\n":
                self._at += 1
            elif self._next == "[":
                table = self._header()
            else:
                self._entry(table)

    @property
    def _next(self) -> str:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else "\n"

    def _take(self) -> tuple[str, int]:
        self._at += 1
        return self._tokens[self._at - 1]

    def _header(self) -> At:
        """`[table]` or `[[list of tables]]`."""
        line = self._take()[1]
        listed = self._next == "["
        self._at += listed
        at = self._known((), self._key())
        self._at += 1 + listed
        if listed:
            self.lines.setdefault(at, line)
            self._lengths[at] = self._lengths.get(at, 0) + 1
            at = (*at, self._lengths[at] - 1)
        self._note(at, line)
        return at

    def _known(self, table: At, key: tuple[str, ...]) -> At:
        """Where a key leads: into the last table of each list on its way, but for its own end."""
        at = table
        for step in key[:-1]:
            at = (*at, step)
            if at in self._lengths:
                at = (*at, self._lengths[at] - 1)
        return (*at, key[-1])

    def _key(self) -> tuple[str, ...]:
        steps = [_name(self._take()[0])]
        while self._next == ".":
            self._at += 1
            steps.append(_name(self._take()[0]))
        return tuple(steps)

    def _entry(self, table: At) -> None:
        line = self._tokens[self._at][1]
        at = self._known(table, self._key())
        self._note(at, line)
        self._at += 1  # the equals sign
        self._value(at)

    def _note(self, at: At, line: int) -> None:
        """The entry and, where they have no line yet, the tables that it stands in."""
        for length in range(1, len(at) + 1):
            self.lines.setdefault(at[:length], line)

    def _value(self, at: At) -> None:
        if self._next == "[":
            self._list(at)
        elif self._next == "{":
            self._inline_table(at)
        else:
            while self._next not in ("\n", ",", "]", "}"):
                self._at += 1

    def _list(self, at: At) -> None:
        self._at += 1
        place = 0
        while self._next != "]":
            if self._next in ("\n", ","):
                self._at += 1
                continue
            self._note((*at, place), self._tokens[self._at][1])
            self._value((*at, place))
            place += 1
        self._at += 1

    def _inline_table(self, at: At) -> None:
        self._at += 1
        while self._next != "}":
            if self._next in ("\n", ","):
                self._at += 1
            else:
                self._entry(at)
        self._at += 1


def _name(token: str) -> str:
    """The key that a token spells: bare, or quoted as a text is."""
    return str(tomllib.loads(f"key = {token}")["key"]) if token[0] in "\"'" else token


def lines_of(text: str) -> Mapping[At, int]:
    """The line, from 1 on, of every entry of a document that `tomllib` takes.

    Of a table it is that of its first mention.
    """
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


def line_of(at: At, lines: Mapping[At, int]) -> int | None:
    """The line of an entry, or of the innermost table around it that has one."""
    around = (at[:length] for length in range(len(at), 0, -1))
    return next((lines[each] for each in around if each in lines), None)
