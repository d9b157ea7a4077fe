"""The data directory of `dicomnode worker`: an identity and a cache, all of which may be lost.

It bears a mark. So what lies there is never taken for a node's own, nor a node's own for that.
"""

from __future__ import annotations

import shutil
from contextlib import suppress

from dicomnode.config.settings import Settings
from dicomnode.errors import ConfigurationError
from storage.durable import DurableFiles
from storage.instances import InstanceFiles
from storage.results import ResultFiles

MARK = "worker-host"
"""Name of the file that marks the data directory."""


def is_worker_host(settings: Settings) -> bool:
    """Whether there are workers here, and nothing else of a node."""
    return (settings.node.data_directory / MARK).exists()


def be_worker_host(settings: Settings) -> None:
    """Mark the data directory, which must be new or marked; and clear what a worker left that was
    killed: results that are in the object store, or in no row.

    Raises:
        ConfigurationError: it is that of a node.
        OSError
    """
    results = ResultFiles(settings.result_files)
    if is_worker_host(settings):
        for folder in results.iter_folders():
            with suppress(FileNotFoundError):
                shutil.rmtree(settings.result_files / folder)
        return
    first = next(InstanceFiles(settings.instances).iter_paths(), None)
    if first is not None or next(results.iter_folders(), None) is not None:
        raise ConfigurationError(
            f"{settings.node.data_directory} is that of a node that receives: give the workers a "
            "data directory of their own, as by DICOMNODE_NODE__DATA_DIRECTORY"
        )
    DurableFiles(settings.node.data_directory).put(MARK, (b"",))


def check_is_none(settings: Settings) -> None:
    """For a node that receives.

    Raises:
        ConfigurationError: its data directory is that of workers, who clear what lies there.
    """
    if is_worker_host(settings):
        raise ConfigurationError(
            f"{settings.node.data_directory} is that of `dicomnode worker`: give the node a data "
            "directory of its own"
        )
