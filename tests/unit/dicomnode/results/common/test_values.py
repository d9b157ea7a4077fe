from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.results.common import values


@pytest.mark.parametrize("text", ["20260228", "20240229", "00010101"])
def test_dates_pass(text: str) -> None:
    assert values.date(text) == (text, "")


@pytest.mark.parametrize("text", ["20260229", "2026", "20261301", "unknown", "2026/01/01"])
def test_no_dates_are_dropped(text: str) -> None:
    value, problem = values.date(text)
    assert value == ""
    assert "dropped" in problem


@pytest.mark.parametrize("text", ["2026.02.28", "2026-02-28"])
def test_old_dates_are_rewritten(text: str) -> None:
    assert values.date(text)[0] == "20260228"


@pytest.mark.parametrize("text", ["10", "1015", "101500", "101500.123456", "235960"])
def test_times_pass(text: str) -> None:
    assert values.time(text) == (text, "")


def test_old_times_are_rewritten() -> None:
    value, problem = values.time("10:15:00.5")
    assert value == "101500.5"
    assert "rewritten" in problem


@pytest.mark.parametrize("text", ["25", "1060", "10:75:00", "10150", "noon", "101500.1234567"])
def test_no_times_are_dropped(text: str) -> None:
    assert values.time(text)[0] == ""


def test_enumerated_values() -> None:
    rule = values.one_of("M", "F", "O")
    assert rule("F") == ("F", "")
    assert rule("f")[0] == "F"
    assert rule("F?")[0] == ""


@pytest.mark.parametrize(("text", "valid"), [("058Y", True), ("58Y", False), ("058y", False)])
def test_age(text: str, valid: bool) -> None:
    assert bool(values.age(text)[0]) is valid


@pytest.mark.parametrize(
    ("text", "valid"),
    [("+0100", True), ("-1200", True), ("+1400", True), ("-0000", False), ("+1401", False)],
)
def test_time_zone(text: str, valid: bool) -> None:
    assert bool(values.time_zone(text)[0]) is valid


def test_a_bad_uid_still_names_the_study() -> None:
    value, problem = values.uid("1.2.03")
    assert value == "1.2.03"
    assert "kept" in problem
    assert values.uid("1.2.3") == ("1.2.3", "")
    assert values.uid("1.2.X")[0] == ""


def test_an_identifier_is_never_shortened_but_a_description_is() -> None:
    text = "9" * 20
    assert values.identifier(16)(text)[0] == text
    assert values.description(16)(text)[0] == "9" * 16


def test_controls_and_second_values_go() -> None:
    assert values.identifier(16)("A\x1bB")[0] == "AB"
    assert values.identifier(16)("A\\B")[0] == "A"


def test_problems_never_quote_the_value() -> None:
    plain: list[values.Rule] = [values.date, values.time, values.age, values.time_zone]
    plain += [values.uid, values.code_string, values.person_name]
    for rule in (*plain, values.identifier(4), values.description(4)):
        assert "Secret" not in rule("Secret^Name\\Secret\x07" + "x" * 70)[1]


def test_person_name_with_too_many_groups_is_kept() -> None:
    value, problem = values.person_name("a=b=c=d")
    assert value == "a=b=c=d"
    assert "kept" in problem


RULES: list[values.Rule] = [
    values.date,
    values.time,
    values.age,
    values.time_zone,
    values.code_string,
    values.description(16),
    values.one_of("M", "F", "O"),
]


@pytest.mark.parametrize("rule", RULES)
@given(text=st.text(max_size=40) | st.from_regex(r"[-+0-9:.YMDF]{1,14}", fullmatch=True))
def test_what_a_rule_lets_through_is_valid(rule: values.Rule, text: str) -> None:
    """The repaired value needs no second repair."""
    value, _ = rule(text)
    assert value == "" or rule(value) == (value, "")
