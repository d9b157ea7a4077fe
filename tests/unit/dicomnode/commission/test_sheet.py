"""The acceptance sheet: every check on it, lines to be signed, nothing taken for markup."""

from __future__ import annotations

from datetime import UTC, datetime

from dicomnode.commission.checks import Part, failed, not_tested, passed
from dicomnode.commission.sheet import Sheet
from inference.evaluation.report.document import Notice, Table
from inference.evaluation.report.pages import to_html

CHECKS = (
    passed("C-ECHO to it", found="PACS answers"),
    failed("takes <b>SR</b>", found="refused", remedy='set sr_class = "enhanced"'),
    not_tested("C-ECHO from it", found="it cannot be asked for one"),
)


def sheet(*parts: Part) -> Sheet:
    now = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    return Sheet("CHESTAI", now, "ab" * 32, "COMMISSIONING-1", node_ran=False, parts=parts)


def test_every_check_stands_on_it_with_what_to_set() -> None:
    made = sheet(Part("pacs", CHECKS))
    page = to_html(made.document())
    assert "takes &lt;b&gt;SR&lt;/b&gt;" in page
    assert "set sr_class = &#34;enhanced&#34;" in page
    assert made.summary == "1 passed, 1 failed, 1 not tested"
    assert isinstance(made.document().blocks[0], Notice)


def test_without_failures_there_is_no_notice() -> None:
    blocks = sheet(Part("pacs", CHECKS[:1])).document().blocks
    assert not any(isinstance(each, Notice) for each in blocks)


def test_it_ends_with_lines_to_be_signed() -> None:
    last = sheet(Part("pacs", CHECKS)).document().blocks[-1]
    assert isinstance(last, Table)
    assert last.columns == ("For", "Name", "Date", "Signature")


def test_json_has_the_counts_and_each_check() -> None:
    told = sheet(Part("pacs", CHECKS)).as_json()
    assert (told["passed"], told["failed"], told["not_tested"]) == (1, 1, 1)
    assert told["parts"][0]["checks"][1] == {
        "what": "takes <b>SR</b>",
        "result": "failed",
        "found": "refused",
        "remedy": 'set sr_class = "enhanced"',
    }
