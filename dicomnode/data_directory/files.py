"""The files of a node: on its own disk, or copies of what the object store has."""

from __future__ import annotations

from dicomnode.config.settings import Settings
from dicomnode.data_directory.holding import id_of_node
from storage.instances import InstanceFiles
from storage.results import ResultFiles


def instance_files(settings: Settings) -> InstanceFiles:
    """
    Raises:
        OSError
    """
    return InstanceFiles(
        settings.instances,
        id_of_node(settings.node.data_directory),
        settings.copies_of("instances"),
        in_store=settings.receive.durability == "store",
    )


def result_files(settings: Settings) -> ResultFiles:
    """
    Raises:
        OSError
    """
    node_id = id_of_node(settings.node.data_directory)
    return ResultFiles(settings.result_files, node_id, settings.copies_of("results"))
