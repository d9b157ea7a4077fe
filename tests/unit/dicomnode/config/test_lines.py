"""The line of each entry of a TOML document."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.config.lines import line_of, lines_of
from inference.entry_errors import At

EXAMPLE = Path(__file__).resolve().parents[4] / "etc" / "dicomnode.toml"

DOCUMENT = '''
top = 1 # [no.table]
[node]
ae_title = "X"   # = and ] and "
"quoted key" = 'a # b'
text = """
[not.a.table]
x = "1" \\""" ""y""""" # six
after = """"""
literal = \'\'\'
port = 1\'\'\'
dotted . key = 2
[receive.tls]
versions = [
    1.2, # one
    [ "a", { b = "]", c.d = [1] } ],
]
at = 1979-05-27 07:32:00
[[destinations]]
name = "a"
[destinations.tls]
peer_ca = "x"
[[destinations]]
name = "b"
[[destinations.nets]]
x = { y = { z = -1e+5 } }
[[destinations.nets]]
x = 2
'''

KNOWN: dict[At, str] = {
    ("top",): "top = 1",
    ("node",): "[node]",
    ("node", "quoted key"): '"quoted key"',
    ("node", "after"): "after =",
    ("node", "literal"): "literal =",
    ("node", "dotted"): "dotted . key",
    ("node", "dotted", "key"): "dotted . key",
    ("receive",): "[receive.tls]",
    ("receive", "tls", "versions", 0): "    1.2,",
    ("receive", "tls", "versions", 1, 1, "c", "d", 0): '    [ "a"',
    ("receive", "tls", "at"): "at = ",
    ("destinations", 0, "name"): 'name = "a"',
    ("destinations", 0, "tls", "peer_ca"): "peer_ca",
    ("destinations", 1, "name"): 'name = "b"',
    ("destinations", 1, "nets", 0, "x", "y", "z"): "x = { y",
    ("destinations", 1, "nets", 1, "x"): "x = 2",
}


def entries(value: Any, at: At = ()) -> Iterator[At]:
    """All of a document, as `tomllib` tells them."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for step, each in inner:
        yield (*at, step)
        if isinstance(each, dict | list):
            yield from entries(each, (*at, step))


def test_each_entry_has_the_line_that_it_stands_on() -> None:
    lines = DOCUMENT.splitlines()
    found = lines_of(DOCUMENT)
    assert set(found) == set(entries(tomllib.loads(DOCUMENT)))
    for at, begins in KNOWN.items():
        assert lines[found[at] - 1].startswith(begins), at


def test_the_example_is_read_to_its_end() -> None:
    text = EXAMPLE.read_text()
    found = lines_of(text)
    assert set(found) == set(entries(tomllib.loads(text)))
    assert text.splitlines()[found["results", "key_slices"] - 1].startswith("key_slices = 10")


def test_what_has_no_line_has_that_of_the_table_around_it() -> None:
    found = lines_of("[node]\n[receive]\nport = 1")
    assert line_of(("receive", "tls", "port"), found) == 2
    assert line_of(("recieve",), found) is None
    assert line_of((), found) is None


words = st.text(min_size=1, max_size=6) | st.sampled_from(["a", "b.c", "x-1", '"', "[", "#"])
values = st.recursive(
    st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(words, values, max_size=4), st.booleans())
def test_every_entry_of_any_document_is_found(document: dict[str, Any], lines: bool) -> None:
    text = tomli_w.dumps(document, multiline_strings=lines)
    assert set(lines_of(text)) == set(entries(tomllib.loads(text)))
