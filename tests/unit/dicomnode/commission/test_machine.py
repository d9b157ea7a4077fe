"""The machine is looked at, and nothing of it is changed."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from dicomnode.commission.checks import Check, Result
from dicomnode.commission.machine import _database
from dicomnode.config.sections import NodeSettings
from dicomnode.config.settings import Settings
from storage.database import Database, check_answers


def _look(settings: Settings) -> Check:
    return _database(settings)


def test_the_database_is_looked_at_and_not_brought_to_another_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(node=NodeSettings(data_directory=tmp_path))
    assert _look(settings).result is Result.NOT_TESTED
    assert list(tmp_path.iterdir()) == []
    with closing(Database.open(settings.database_url)) as database:
        assert _look(settings).found == "answers, with the schema of this version"
        database.step_back("0003")
    earlier = _look(settings)
    assert earlier.result is Result.PASSED
    assert "the next start brings its schema from 0003" in earlier.found
    assert check_answers(settings.database_url) == "0003"
    monkeypatch.setattr("dicomnode.commission.machine.SCHEMA_REVISION", "0002")
    later = _look(settings)
    assert later.result is Result.FAILED
    assert later.remedy == "install that release"
