"""Docstrings: what they name in backticks is there; errors are told in one form."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator

import pytest

from support.sources import ROOT, modules, tree

_NAMED = re.compile(r"(?<!`)`([A-Za-z_]\w*(?:[._]\w+)+)`")
"""Names that a reader would look for: of two words at least, joined by a point or an underscore."""
_OTHERS = ("pydicom.", "ssl_context", "P_COVID19")
"""Of pydicom and pynetdicom, and an example of a code."""


def _tokens(text: str) -> Iterator[tokenize.TokenInfo]:
    return tokenize.generate_tokens(io.StringIO(text).readline)


def _is_prose(token: tokenize.TokenInfo) -> bool:
    return token.type == tokenize.COMMENT or '"""' in token.string[:5]


def test_what_is_named_in_backticks_is_there() -> None:
    texts = {path: path.read_text("utf-8") for path in modules().values()}
    known = {word for name in modules() for word in name.split(".")} | {"py"}
    prose = []
    for path, text in texts.items():
        for token in _tokens(text):
            if _is_prose(token):
                prose.append((path, token.string))
            elif token.type in {tokenize.NAME, tokenize.STRING}:
                known |= set(re.findall(r"\w+", token.string))
    lost = {
        f"{path.relative_to(ROOT)}: {name}"
        for path, text in prose
        for name in _NAMED.findall(text)
        if not name.startswith(_OTHERS) and not set(name.split(".")) <= known
    }
    assert lost == set()


_BLOCK = re.compile(r"Raises:\n(    .+(\n|$))+\Z")
"""The end of a docstring: a line for each error, `SomeError: when`, or `as` another function."""
_TOLD = re.compile(r"\bRaises\b|\braises\s+(?:(?:\S+\s+){0,2}\S*Error\b|as\b|like\b|what\b)")
_OF_DOCSTRINGS = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def _tells_errors_otherwise(docstring: str) -> bool:
    return _TOLD.search(_BLOCK.sub("", docstring)) is not None


@pytest.mark.parametrize(
    "docstring",
    [
        "The mean. Raises ValueError without a case.",
        "The mean; raises a plain ValueError without a case.",
        "The mean. Raises as `median`.",
        "The mean.\n\nRaises: ValueError",
        "The mean.\n\nRaises:\n    ValueError: without a case.\n\nOf all cases.",
    ],
)
def test_another_form_is_seen(docstring: str) -> None:
    assert _tells_errors_otherwise(docstring)


def test_errors_are_told_in_one_form() -> None:
    others = {
        f"{path.relative_to(ROOT)}: {getattr(node, 'name', 'module')}"
        for path in modules().values()
        for node in ast.walk(tree(path))
        if isinstance(node, _OF_DOCSTRINGS)
        and _tells_errors_otherwise(ast.get_docstring(node) or "")
    }
    assert others == set()
