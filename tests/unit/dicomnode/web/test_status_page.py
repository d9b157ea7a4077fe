"""The page of a quiet and of a troubled node: what it says, and what it never shows."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import pytest

from dicomnode.config.destinations import Destination
from dicomnode.config.settings import Settings
from dicomnode.decisions.operating.facts import Facts, Work
from dicomnode.decisions.operating.health_policy import HealthPolicy
from dicomnode.decisions.operating.judge import judge
from dicomnode.metrics.read_back import Counted, StageTimes
from dicomnode.web.parts import Cell, Mood, Page, Table
from dicomnode.web.status_page import Sight, render, static, status_page, unseen_page
from storage.overview_records import Source
from storage.recent import EndedSeries
from storage.records import SeriesState
from support.seen import AT, KEY, quiet_node, troubled_node

PACS = Destination(
    name="pacs", ae_title="PACS", address="127.0.0.1", port=104, storage_commitment=True
)
ARCHIVE = Destination(name="archive", ae_title="ARCHIVE", address="127.0.0.1", port=105)
SETTINGS = Settings(destinations=(PACS, ARCHIVE))
ENDED = (
    EndedSeries(SeriesState.FAILED, AT - timedelta(hours=1), AT, "CT1", 312, ("worker_lost",)),
    EndedSeries(SeriesState.SKIPPED, AT, AT, "CT1", 40, ("slice_thickness", "contrast")),
    EndedSeries(SeriesState.SKIPPED, AT, AT, "CT1", 40, ("contrast",)),
)
COUNTED = Counted({"total": StageTimes(148, 60.0, 120.0)}, (("covnet", "1.0", "demonstration"),))


def page_of(facts: Facts) -> Page:
    troubles = judge(facts, HealthPolicy(), AT)
    return status_page(Sight(facts, troubles, ENDED, COUNTED), SETTINGS)


def table(page: Page, title: str) -> Table:
    return next(each for each in page.tables if each.title == title)


class Reader(HTMLParser):
    """What a browser would load, run or be told, and whether each element is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loaded: set[str] = set()
        self.forbidden: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in {"meta", "link", "rect"}:
            self.open.append(tag)
        self.loaded |= {str(given[key]) for key in ("src", "href") if key in given}
        if tag in {"script", "style", "iframe", "form", "img"}:
            self.forbidden.append(tag)
        self.forbidden += [key for key in given if key == "style" or key.startswith("on")]

    def handle_endtag(self, tag: str) -> None:
        if tag != "rect":
            assert self.open.pop() == tag


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    assert reader.open == []
    return reader


@pytest.mark.parametrize("facts", [quiet_node(), troubled_node()], ids=["quiet", "troubled"])
def test_it_is_whole_and_loads_nothing_from_elsewhere(facts: Facts) -> None:
    reader = read(render(page_of(facts)))
    assert reader.forbidden == []
    assert reader.loaded == {"/style.css", "/icon.svg", "/still", "/metrics", "/readyz"}
    assert b"url(" not in static("style.css")
    assert b"http" not in static("style.css")


def test_of_a_quiet_node() -> None:
    page = page_of(quiet_node())
    assert (page.mood, page.headline, page.notices) == (Mood.GOOD, "All is well", ())
    assert table(page, "Destinations").rows[0][:2] == ("pacs", Cell("works", Mood.GOOD))
    assert table(page, "Senders").rows[0] == ("CT1", "4 min ago", "0", "7")
    assert [row[0] for row in table(page, "Processes").rows][-1] == "worker-1"
    figures = {each.title: each.value for each in page.figures}
    assert figures["Analysed"] == "148"
    assert figures["Canary passed"] == "9 h ago"
    assert figures["Disk free"] == "420 GiB"


def test_of_a_troubled_one_the_errors_come_first_each_with_what_mends_it() -> None:
    page = page_of(troubled_node())
    assert page.mood is Mood.BAD
    assert page.headline.startswith(f"{sum(n.mood is Mood.BAD for n in page.notices)} errors and ")
    moods = [each.mood for each in page.notices]
    assert moods == sorted(moods, key=lambda each: each is not Mood.BAD)
    assert all(each.remedy for each in page.notices)
    rows = table(page, "Destinations").rows
    assert rows[0][1] == Cell("away", Mood.BAD)
    assert (rows[1][1], rows[1][4]) == (Cell("trouble", Mood.BAD), Cell("9", Mood.BAD))
    assert table(page, "Processes").rows[1][1] == Cell("down", Mood.BAD)


def test_why_is_told_in_words_and_the_most_frequent_first() -> None:
    page = page_of(quiet_node())
    assert table(page, "Why series were not analysed").rows == (
        ("Contrast agent", "2"),
        ("Slice thickness", "1"),
    )
    (failed,) = table(page, "Failed series").rows
    assert failed[0] == "10:30"
    assert failed[3] == Cell("The analysis was ended several times", Mood.BAD)
    assert table(page, "Times").rows == (("All, from the last slice on", "148", "1 min", "2 min"),)


def test_no_uid_is_shown_whole_and_what_a_peer_is_called_is_no_markup() -> None:
    odd = Source("<b>&\x1b", AT, ())
    facts = troubled_node()
    facts = replace(facts, work=replace(facts.work, sources=(odd,)))
    html = render(page_of(facts))
    assert KEY not in html
    assert "queue retry 000.4711" in html
    assert "<b>" not in html
    assert "&lt;b&gt;&amp;?" in html
    read(html)


def test_without_the_database_the_rest_is_told() -> None:
    facts = replace(quiet_node(), database_fault="it is away", work=Work())
    page = status_page(Sight(facts, judge(facts, HealthPolicy(), AT), None, Counted()), SETTINGS)
    assert page.chart is None
    assert "Failed series" not in {each.title for each in page.tables}
    assert table(page, "Processes").rows
    read(render(page))


def test_a_node_of_which_nothing_is_known_has_a_page() -> None:
    facts = Facts(AT)
    read(render(status_page(Sight(facts, (), (), Counted()), Settings())))
    html = render(unseen_page(Settings()))
    assert "The node has not been looked at yet" in html
    read(html)


def test_it_can_be_kept_from_refreshing() -> None:
    sight = Sight(quiet_node(), (), (), Counted())
    assert 'http-equiv="refresh" content="30"' in render(status_page(sight, SETTINGS))
    still = render(status_page(sight, SETTINGS, refreshes=False))
    assert "http-equiv" not in still
    assert 'href="/"' in still
