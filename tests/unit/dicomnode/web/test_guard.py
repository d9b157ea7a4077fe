"""Who may ask: methods, names and tokens."""

from __future__ import annotations

from base64 import b64encode
from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnode.web.guard import HEADERS, LOCAL_NAMES, judge

_BASIC = "Basic " + b64encode(b"anna:s3cret").decode()


def status(
    method: str = "GET",
    host: str = "localhost:11180",
    authorization: str = "",
    expected: str | None = None,
) -> HTTPStatus | None:
    refusal = judge(method, host, LOCAL_NAMES | {"ai.hospital.example"}, authorization, expected)
    return None if refusal is None else refusal.status


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:8080",
        "127.0.0.1:11180",
        "[::1]:11180",
        "[::1]",
        "ai.hospital.example",
    ],
)
def test_names_of_this_machine_are_served(host: str) -> None:
    assert status(host=host) is None


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "localhost.evil.example:11180",
        "127.0.0.1.evil.example",
        "::1",
        "localhost:x",
    ],
)
def test_another_name_is_not_whoever_it_leads_here(host: str) -> None:
    assert status(host=host) is HTTPStatus.MISDIRECTED_REQUEST


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get", ""])
def test_nothing_is_written(method: str) -> None:
    assert status(method=method) is HTTPStatus.METHOD_NOT_ALLOWED


@pytest.mark.parametrize(
    "authorization", ["Bearer s3cret", "bearer  s3cret", _BASIC, _BASIC.replace("Basic", "bAsIc")]
)
def test_a_token_comes_as_itself_or_as_a_password(authorization: str) -> None:
    assert status(authorization=authorization, expected="Bearer s3cret") is None


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer s3cre", "Basic %%", "s3cret", _BASIC]
)
def test_a_wrong_one_is_asked_for(authorization: str) -> None:
    refusal = judge("GET", "localhost", None, authorization, "Basic " + b64encode(b"a:b").decode())
    assert refusal is not None
    assert refusal.status is HTTPStatus.UNAUTHORIZED
    assert refusal.headers["WWW-Authenticate"].startswith("Basic ")


def test_a_user_of_its_own_is_part_of_it() -> None:
    assert status(authorization=_BASIC, expected=_BASIC) is None
    other = "Basic " + b64encode(b"otto:s3cret").decode()
    assert status(authorization=other, expected=_BASIC) is HTTPStatus.UNAUTHORIZED


def test_a_secret_that_cannot_be_read_lets_nobody_in() -> None:
    assert status(authorization="", expected="") is HTTPStatus.SERVICE_UNAVAILABLE
    assert status(authorization="Bearer ", expected="") is HTTPStatus.SERVICE_UNAVAILABLE


@given(st.text(max_size=40), st.text(st.characters(codec="latin-1"), max_size=60))
def test_nobody_comes_in_by_chance(host: str, authorization: str) -> None:
    refusal = judge("GET", host, LOCAL_NAMES, authorization, "Bearer 0123456789abcdef0123456789")
    assert refusal is not None


def test_no_answer_runs_a_script_or_loads_from_elsewhere() -> None:
    policy = HEADERS["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script" not in policy
    assert not {"*", "http:", "https:", "unsafe"} & set(policy.replace(";", " ").split())
    assert all("\n" not in value for value in HEADERS.values())
