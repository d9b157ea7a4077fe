"""What is asked for next when series are pulled, and what answers mean."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.decisions.pulling import (
    MOST_TRIES,
    Counts,
    Follow,
    FoundSeries,
    FoundStudy,
    Wanted,
    as_key,
    judge_answer,
    of_accession,
    of_ct,
    pause_after,
    priors_of,
)

UIDS = [f"1.2.{number}" for number in range(250)]


@pytest.mark.parametrize(
    ("status", "follow"),
    [
        (0x0000, Follow.DONE),
        (0xB000, Follow.PARTLY),
        (0xFE00, Follow.CANCELLED),
        (0xA701, Follow.AGAIN),
        (0xA702, Follow.AGAIN),
        (0xA801, Follow.STOP),
        (0xA900, Follow.OTHERWISE),
        (0xAA02, Follow.HOPELESS),
        (0xC001, Follow.OTHERWISE),
        (0x0122, Follow.STOP),
        (0x0124, Follow.STOP),
        (0x1234, Follow.AGAIN),
    ],
)
def test_each_status_has_its_consequence(status: int, follow: Follow) -> None:
    answer = judge_answer(status, Counts(), "NODE")
    assert answer.follow is follow
    assert (answer.text == "") == (follow is Follow.DONE)
    assert f"0x{status:04X}" in answer.text or follow is Follow.DONE


def test_a_success_that_counts_failures_is_none() -> None:
    answer = judge_answer(0x0000, Counts(0, 10, 2, 0), "NODE")
    assert answer.follow is Follow.PARTLY
    assert "2 instances failed" in answer.text


def test_an_unknown_destination_tells_the_administrator_what_to_enter() -> None:
    text = judge_answer(0xA801, Counts(), "CTNODE", "no such AE").text
    for told in ("0xA801", "destination of C-MOVE", "AE title CTNODE", "in its words: no such AE"):
        assert told in text


@given(st.integers(0, 0xFFFF), st.builds(Counts, *[st.none() | st.integers(0, 65535)] * 4))
def test_every_answer_means_something(status: int, counts: Counts) -> None:
    assert judge_answer(status, counts, "NODE").follow in Follow


def test_a_series_is_asked_for_as_a_whole_where_nothing_is_here_and_nothing_limits() -> None:
    assert Wanted(UIDS).portion(0, len(UIDS)) == ()
    assert Wanted(UIDS[:9]).portion(0, len(UIDS)) == tuple(UIDS[:9])
    assert Wanted(UIDS).portion(5, len(UIDS)) == tuple(UIDS[:10])
    assert len(Wanted(UIDS).portion(1000, len(UIDS))) == 100
    assert len(Wanted(UIDS).portion(0.1, len(UIDS))) == 1


def test_what_does_not_come_is_asked_for_behind_the_rest_and_given_up_in_the_end() -> None:
    wanted = Wanted(["a", "b", "c"])
    wanted.answered(["a", "b"], ["b"], Follow.PARTLY)
    assert wanted.missing == ["c", "a"]
    for _ in range(MOST_TRIES - 1):
        wanted.answered(wanted.portion(1, 3), ["c"], Follow.PARTLY)
    assert (wanted.missing, wanted.given_up) == ([], ["a"])


@pytest.mark.parametrize("follow", [Follow.DONE, Follow.OTHERWISE])
def test_where_single_instances_are_not_sent_the_series_is_asked_for(follow: Follow) -> None:
    wanted = Wanted(["a", "b", "c"])
    wanted.answered(["a", "b"], [], follow)
    assert wanted.portion(1, 3) == ()


def test_what_is_hopeless_is_not_asked_again() -> None:
    wanted = Wanted(["a", "b"])
    wanted.answered(["a"], [], Follow.HOPELESS)
    assert (wanted.missing, wanted.given_up) == (["b"], ["a"])


@given(
    st.lists(st.sampled_from(UIDS), unique=True, min_size=1, max_size=30),
    st.floats(0, 20),
    st.data(),
)
def test_it_ends_whatever_comes(uids: list[str], rate: float, data: st.DataObject) -> None:
    wanted, came, requests = Wanted(list(uids)), set[str](), 0
    while wanted.missing:
        requests += 1
        portion = wanted.portion(rate, len(uids))
        asked = portion or tuple(wanted.missing)
        now = set(data.draw(st.lists(st.sampled_from(asked), unique=True)))
        came |= now
        wanted.answered(portion, now, data.draw(st.sampled_from(Follow)))
        assert 0 < wanted.pause_seconds <= 30
    assert requests <= MOST_TRIES * len(uids) + MOST_TRIES
    assert came | set(wanted.given_up) == set(uids)
    assert not came & set(wanted.given_up)


def test_images_take_as_long_as_they_may() -> None:
    assert pause_after(100, 0.5, 50) == 1.5
    assert pause_after(100, 5.0, 50) == 0
    assert pause_after(100, 0.5, 0) == 0


CURRENT = FoundStudy("1.2.9", "20260102", patient_id="P1", issuer="A", birth_date="19500101")


def earlier(uid: str, date: str, **other: str) -> FoundStudy:
    return replace(CURRENT, study_instance_uid=uid, study_date=date, **other)


def test_priors_are_the_earlier_studies_of_the_same_patient_newest_first() -> None:
    found = [
        earlier("1.2.1", "20240101"),
        earlier("1.2.2", "20250101", issuer="", birth_date=""),
        earlier("1.2.3", "20250601", birth_date="19600101"),
        earlier("1.2.4", "20250601", issuer="B"),
        earlier("1.2.5", "20250601", patient_id="P10"),
        earlier("1.2.6", "20260102"),
        earlier("1.2.7", "20270101"),
        earlier("1.2.8", ""),
        CURRENT,
    ]
    assert [each.study_instance_uid for each in priors_of(CURRENT, found)] == ["1.2.2", "1.2.1"]
    assert priors_of(replace(CURRENT, patient_id=""), found) == []
    assert priors_of(replace(CURRENT, study_date=""), found) == []


def test_the_patient_is_not_shown() -> None:
    assert "P1" not in repr(CURRENT)
    assert "19500101" not in repr(CURRENT)


def test_what_an_archive_returns_beside_what_was_asked_for_is_left() -> None:
    found = [FoundStudy("1.2.1", accession_number="A1"), FoundStudy("1.2.2", accession_number="A")]
    assert of_accession(found, "A") == [found[1]]
    series = [FoundSeries("1", "1.1", "CT"), FoundSeries("1", "1.2", "SR"), FoundSeries("1", "1.3")]
    assert of_ct(series) == [series[0], series[2]]


@pytest.mark.parametrize("value", ["", "*", "A?1", "A\\B", "A\n"])
def test_a_key_that_matches_others_is_none(value: str) -> None:
    with pytest.raises(ValueError, match="must be neither"):
        as_key(value)
