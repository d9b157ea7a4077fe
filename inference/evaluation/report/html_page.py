"""A document as one HTML file that needs no other: pictures are in it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

from inference.evaluation.report.document import (
    Block,
    Document,
    Heading,
    Notice,
    Paragraph,
    Picture,
    Table,
)

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem; }
h1, h2, h3 { line-height: 1.2; }
.notice { border-left: 6px solid #d55e00; background: #fdf1e8; padding: 0.6rem 1rem;
  font-weight: bold; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { border: 1px solid #bbb; padding: 0.3rem 0.6rem; text-align: left; vertical-align: top; }
th { background: #f2f2f2; }
img { max-width: 100%; }
@media print { .notice { background: none; } }
"""


def to_html(document: Document) -> str:
    """The whole page; nothing in it is taken for markup, and nothing is fetched."""
    title = escape(document.title)
    body = "\n".join(_block(each) for each in document.blocks)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">\n"
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
        f"{body}\n</body>\n</html>\n"
    )


def _block(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"<h{level}>{escape(text)}</h{level}>"
        case Paragraph(text):
            return f"<p>{escape(text)}</p>"
        case Notice(text):
            return f'<p class="notice">{escape(text)}</p>'
        case Table(columns, rows):
            lines = "\n".join(_row(row, "td") for row in rows)
            return f"<table>\n{_row(columns, 'th')}\n{lines}\n</table>"
        case Picture(_, words, png):
            data = base64.b64encode(png).decode()
            return f'<p><img alt="{escape(words)}" src="data:image/png;base64,{data}"></p>'


def _row(cells: Sequence[str], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"
