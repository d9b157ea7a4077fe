"""The whole way of a series whose files, and then results, are in the object store alone."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dicomnode.config.object_store import ObjectStoreSettings
from dicomnode.data_directory.files import result_files
from dicomnode.data_directory.sealer import Sealer
from storage.records import SeriesState
from support.phantom import series_uid, write_series
from support.pipeline import Pipeline

pytestmark = pytest.mark.long  # a whole analysis


def test_a_series_that_lies_in_the_store_alone_is_analysed_from_there(
    tmp_path: Path, small_models: Path
) -> None:
    node = Pipeline(tmp_path / "data", small_models)
    (tmp_path / "store").mkdir()
    store = ObjectStoreSettings(url=(tmp_path / "store").as_uri())
    node.settings = node.settings.model_copy(update={"object_store": store})
    paths = write_series(tmp_path / "series")
    node.receive(paths)
    uid, later = series_uid(paths), datetime.now(UTC) + timedelta(hours=1)
    assert Sealer(node.settings, node.database, "node").seal_due(later) == 1
    shutil.rmtree(node.settings.instances)  # as if another node had received it
    node.assess()
    node.analyse()
    detail = node.detail(uid)
    assert detail.series.state is SeriesState.ANALYSED
    assert detail.results
    assert {each.object_name is None for each in detail.results} == {False}
    before = node.result_bytes()
    for file in node.settings.result_files.rglob("*.dcm"):
        file.unlink()
    brought = result_files(node.settings).bring(detail.results)
    assert sorted(each.read_bytes() for each in brought) == sorted(before.values())
    node.database.close()
