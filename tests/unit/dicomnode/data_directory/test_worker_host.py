"""The data directory of workers is never taken for a node's own, nor the other way round."""

from __future__ import annotations

from pathlib import Path

import pytest

from dicomnode.config.sections import NodeSettings
from dicomnode.config.settings import Settings
from dicomnode.data_directory.own_data import note_first_start
from dicomnode.data_directory.worker_host import be_worker_host, is_worker_host
from dicomnode.errors import ConfigurationError
from storage.instances import InstanceFiles
from storage.results import ResultFiles


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(node=NodeSettings(data_directory=tmp_path / "data"))


def test_what_a_worker_left_that_was_killed_goes(settings: Settings) -> None:
    be_worker_host(settings)
    assert is_worker_host(settings)
    results = ResultFiles(settings.result_files)
    results.store("1.2.3", "1.2.4", b"left")
    be_worker_host(settings)
    assert list(results.iter_folders()) == []


@pytest.mark.parametrize("what", ["instances", "results"])
def test_of_a_node_nothing_goes(settings: Settings, what: str) -> None:
    results = ResultFiles(settings.result_files)
    if what == "instances":
        InstanceFiles(settings.instances).store("1.2.3", "1.2.4", b"head", b"data set")
    else:
        results.store("1.2.3", "1.2.4", b"sent")
    with pytest.raises(ConfigurationError, match="is that of a node that receives"):
        be_worker_host(settings)
    assert not is_worker_host(settings)
    assert len(list(results.iter_folders())) == (what == "results")


def test_no_node_begins_where_workers_clear(settings: Settings) -> None:
    be_worker_host(settings)
    with pytest.raises(ConfigurationError, match="is that of `dicomnode worker`"):
        note_first_start(settings)
