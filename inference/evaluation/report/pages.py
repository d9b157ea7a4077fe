"""A document as one HTML file that needs no other, or as Markdown with its pictures beside it.

The templates lie beside (Jinja2). Nothing in a document is taken for markup: what they print is
escaped, but for what they mark as `safe`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from functools import cache

from jinja2 import (
    Environment,
    PackageLoader,
    StrictUndefined,
    pass_eval_context,
    select_autoescape,
)
from jinja2.nodes import EvalContext
from markupsafe import Markup

from inference.evaluation.report.document import (
    Contents,
    Document,
    Heading,
    Notice,
    Paragraph,
    Picture,
)

_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~&])")


def to_html(document: Document) -> str:
    """The whole page, its pictures in it; nothing is fetched."""
    return _render("page.html", document)


def to_markdown(document: Document) -> str:
    """The whole text (CommonMark, with GitHub's tables); pictures are files beside it."""
    return _render("report.md", document)


def _render(template: str, document: Document) -> str:
    found = _environment().get_template(template)
    return found.render(title=document.title, blocks=document.blocks, document=document)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("inference.evaluation.report"),
        autoescape=select_autoescape(("html",)),
        finalize=_plain,
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["base64"] = lambda data: base64.b64encode(data).decode()
    for kind in (Heading, Contents, Paragraph, Notice, Picture):
        environment.tests[kind.__name__.lower()] = _test(kind)
    return environment


def _test(kind: type) -> Callable[[object], bool]:
    return lambda block: isinstance(block, kind)


@pass_eval_context
def _plain(context: EvalContext, value: object) -> object:
    """In Markdown: on one line, with a backslash before what would be taken for markup."""
    if context.autoescape or isinstance(value, Markup):
        return value
    return _SPECIAL.sub(r"\\\1", " ".join(str(value).split()))
