"""The object store is tried once in each way that the node uses it, and left as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from dicomnode.commission.checks import Check, Result
from dicomnode.commission.object_store import mark_check, store_checks
from dicomnode.config.object_store import ObjectStoreSettings
from dicomnode.config.sections import NodeSettings
from dicomnode.config.settings import Settings
from storage.database import Database
from storage.errors import ObjectStoreError
from storage.object_store import FolderStore


def looked(folder: Path) -> dict[str, Check]:
    settings = ObjectStoreSettings(url=folder.as_uri())
    return {each.what.removeprefix("object store: "): each for each in store_checks(settings)}


def left(folder: Path) -> list[Path]:
    return [each for each in folder.rglob("*") if each.is_file()]


def test_a_store_that_is_right_passes_and_keeps_nothing(tmp_path: Path) -> None:
    found = looked(tmp_path)
    conditional = found.pop("conditional write")
    assert set(found) == {
        *("write", "read a range", "write over it", "delete", "read what is not there")
    }
    assert {each.result for each in found.values()} == {Result.PASSED}
    assert conditional.result is Result.NOT_TESTED
    assert "nothing here counts on it" in conditional.found
    assert left(tmp_path) == []


def test_a_store_that_keeps_what_was_there_first_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = FolderStore.put

    def first_only(self: FolderStore, name: str, file: Path) -> None:
        if self.size_of(name) is None:
            put(self, name, file)

    monkeypatch.setattr(FolderStore, "put", first_only)
    found = looked(tmp_path)
    assert found["write over it"].result is Result.FAILED
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("these credentials may not do that (RequestTimeTooSkewed)", "set both by NTP"),
        ("the credentials are not accepted", "put, get, head and delete"),
        ("the store is away", "[object_store]"),
    ],
)
def test_what_hinders_it_is_told_with_what_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, remedy: str
) -> None:
    def refused(*_: object) -> None:
        raise ObjectStoreError(text)

    monkeypatch.setattr(FolderStore, "put", refused)
    (only,) = looked(tmp_path).values()
    assert (only.result, only.found) == (Result.FAILED, f"object store: {text}")
    assert remedy in only.remedy


def test_a_store_whose_secret_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOBODY_SETS_THIS", raising=False)
    settings = ObjectStoreSettings.model_validate(
        {"url": "s3://bucket", "credentials": {"variable": "NOBODY_SETS_THIS", "user": "a"}}
    )
    (only,) = store_checks(settings)
    assert only.result is Result.FAILED
    assert "the environment variable is not set" in only.found


def test_it_is_the_one_that_the_database_knows(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    settings = Settings(
        node=NodeSettings(data_directory=tmp_path / "data"),
        object_store=ObjectStoreSettings(url=folder.as_uri()),
    )
    folder.mkdir()
    assert mark_check(settings).result is Result.NOT_TESTED
    Database.open(settings.database_url).close()
    for _ in range(2):
        assert mark_check(settings).result is Result.PASSED
    folder.rename(tmp_path / "share")
    folder.mkdir()
    found = mark_check(settings)
    assert found.result is Result.FAILED
    assert "it does not bear its mark" in found.found
    assert "database store --accept" in found.remedy
    folder.rmdir()
    away = mark_check(settings)
    assert away.result is Result.FAILED
    assert "make it, or mount it" in away.found
