"""What the docstrings and comments of the product name in backticks is there to be found."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator

from support.sources import ROOT, modules

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
