"""A secret for a DICOMweb server: found where it stands, and shown nowhere."""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from dicomnode.config.credentials import Credentials, ServiceUrl, is_on_this_machine
from dicomnode.errors import ConfigurationError


def written(folder: Path, content: bytes) -> str:
    path = folder / "secret"
    path.write_bytes(content)
    return str(path)


@pytest.mark.parametrize("content", [b"abc.DEF-_~+/==", b"abc.DEF-_~+/==\n", b"abc.DEF-_~+/==\r\n"])
def test_a_token_stands_in_a_file(tmp_path: Path, content: bytes) -> None:
    assert Credentials(written(tmp_path, content)).authorization() == "Bearer abc.DEF-_~+/=="


def test_a_password_may_hold_anything(tmp_path: Path) -> None:
    made = Credentials(written(tmp_path, "pass: wörd \n".encode()), user="node").authorization()
    assert b64decode(made.removeprefix("Basic ")).decode() == "node:pass: wörd "


def test_a_secret_stands_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHIVE_TOKEN", "first")
    credentials = Credentials(variable="ARCHIVE_TOKEN")
    assert credentials.authorization() == "Bearer first"
    monkeypatch.setenv("ARCHIVE_TOKEN", "second")
    assert credentials.authorization() == "Bearer second"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "the file cannot be read: No such file or directory"),
        (b"", "the file is empty"),
        (b"\n", "the file is empty"),
        (b"two words", "what is there is no bearer token"),
        (b"inject\r\nX-Other: 1", "what is there is no bearer token"),
        ("tokén".encode(), "what is there is no bearer token"),
        (b"\xff\xfe", "the file is no text"),
    ],
)
def test_what_is_no_secret_is_told_without_showing_it(
    tmp_path: Path, content: bytes | None, told: str
) -> None:
    path = str(tmp_path / "none") if content is None else written(tmp_path, content)
    with pytest.raises(ConfigurationError) as caught:
        Credentials(path).authorization()
    assert str(caught.value) == f"credentials: {told}"
    assert caught.value.__cause__ is None


def test_a_variable_that_is_not_set() -> None:
    with pytest.raises(ConfigurationError, match="the environment variable is not set"):
        Credentials(variable="NOBODY_SETS_THIS").authorization()


@given(st.binary(max_size=100))
def test_no_content_makes_a_header_of_more_than_one_line(content: bytes) -> None:
    """Whatever stands in the file is one value or an error of ours."""
    for user in ("", "node"):
        credentials = Credentials("somewhere", user=user)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Credentials, "_content", lambda _self: content.decode("latin-1"))
            try:
                header = credentials.authorization()
            except ConfigurationError:
                continue
        assert header.isascii()
        assert header.isprintable()


@pytest.mark.parametrize(
    "wrong", [{}, {"file": "f", "variable": "V"}, {"file": "f", "user": "a:b"}, {"user": "a"}]
)
def test_one_place_is_named(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Credentials(**wrong)


def test_a_relative_file_is_taken_from_the_folder_of_the_configuration(tmp_path: Path) -> None:
    assert Credentials("a.token").anchored(tmp_path) == Credentials(str(tmp_path / "a.token"))
    of_environment = Credentials(variable="V")
    assert of_environment.anchored(tmp_path) == of_environment


URL = TypeAdapter(ServiceUrl)


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("https://pacs.example/dicom-web/", "https://pacs.example/dicom-web"),
        ("http://[::1]:8042/dicom-web", "http://[::1]:8042/dicom-web"),
        ("https://pacs.example", "https://pacs.example"),
    ],
)
def test_an_address_ends_without_a_slash(given: str, taken: str) -> None:
    assert URL.validate_python(given) == taken


@pytest.mark.parametrize(
    "given",
    [
        "",
        "pacs.example/dicom-web",
        "ftp://pacs.example",
        "https://",
        "https://pacs.example:port/",
        "https://pacs.example:99999/",
        "https://pacs.example/a b",
        "https://pacs.example/ä",
        "https://pacs.example/\r\nX: 1",
        "https://node:password@pacs.example/",
        "https://node@pacs.example/",
        "https://pacs.example/?key=password",
        "https://pacs.example/#password",
        "https://pacs.example/dicom-web/studies",
        "https://[pacs/",
    ],
)
def test_what_is_no_address_of_a_service_is_told_without_showing_it(given: str) -> None:
    with pytest.raises(ValidationError) as caught:
        URL.validate_python(given)
    (error,) = caught.value.errors()
    assert "url m" in error["msg"]
    assert "password@" not in error["msg"]


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:8042/x", True),
        ("http://[::1]/", True),
        ("http://localhost/", True),
        ("http://10.0.0.1/", False),
        ("http://localhost.example/", False),
        ("http://127.0.0.1.example/", False),
    ],
)
def test_what_is_on_this_machine(url: str, here: bool) -> None:
    assert is_on_this_machine(url) is here
