"""Where the object store is, and who we are to it: no secret stands in the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from dicomnode.config.object_store import ObjectStoreSettings
from dicomnode.config.settings import Settings
from storage.known_store import KnownStore

WHO = {"variable": "STORE_KEY", "user": "key"}


@pytest.mark.parametrize(
    "url",
    [
        "http://bucket",
        "s3://",
        "s3:///prefix",
        "s3://user:password@bucket",
        "s3://bucket?region=x",
        "s3://bucket#part",
        "file://host/folder",
        "file:///",
        "folder",
        "s3://[",
    ],
)
def test_an_address_that_is_none_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ValidationError, match="url must be as"):
        ObjectStoreSettings(url=url)


@pytest.mark.parametrize(
    "url", ["s3://bucket", "s3://a.bucket-1/some/prefix/", "gs://b/p", "az://c", "file:///folder"]
)
def test_an_address_is_taken_without_the_slash_at_its_end(url: str) -> None:
    assert ObjectStoreSettings(url=url).url == url.rstrip("/")


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"url": "file:///folder", "credentials": WHO}, "go with s3, gs and az only"),
        ({"url": "s3://b", "credentials": {"variable": "K"}}, "need user"),
        (
            {"url": "s3://b", "endpoint": "http://store:9000", "credentials": WHO},
            "credentials need https",
        ),
        ({"url": "gs://b", "endpoint": "https://store"}, "go with s3 only"),
        ({"url": "s3://b", "endpoint": "store:9000"}, "endpoint must be as"),
        ({"url": "s3://b", "endpoint": "https://u:p@store"}, "endpoint must be as"),
    ],
)
def test_what_does_not_fit_together_is_refused(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        ObjectStoreSettings.model_validate(wrong)


def test_whoever_answers_only_when_the_store_has_it_needs_a_store(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"needs object_store\.url"):
        Settings.model_validate({"receive": {"durability": "store"}})
    store = {"url": tmp_path.as_uri()}
    Settings.model_validate({"receive": {"durability": "store"}, "object_store": store})


def test_the_folder_of_a_secret_is_that_of_the_configuration(tmp_path: Path) -> None:
    who = {"file": "store.key", "user": "key"}
    found = ObjectStoreSettings.model_validate({"url": "s3://b", "credentials": who})
    anchored = found.anchored(tmp_path)
    assert anchored.credentials is not None
    assert anchored.credentials.file == str(tmp_path / "store.key")


def test_without_a_store_there_are_no_copies(tmp_path: Path) -> None:
    assert Settings().copies_of("instances") is None
    settings = Settings(object_store=ObjectStoreSettings(url=tmp_path.as_uri()))
    copies = settings.copies_of("instances")
    assert copies is not None
    assert isinstance(copies.store, KnownStore)
