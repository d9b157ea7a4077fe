"""A node's data directory with the results of one series, and two PACS that they are for."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dicomnode.config.destinations import Destination
from support.command import dicomnode
from support.pacs import Pacs, running_pacs
from support.phantom import series_uid, write_series
from support.pipeline import Pipeline

OBJECTS = 4  # report, montage, key slice, segmentation


@dataclass
class Site:
    """A node's data directory with one analysed series, for two PACS."""

    node: Pipeline
    config: Path
    uid: str
    rejecting: Pacs  # takes rejection notes
    plain: Pacs
    group: str = "results"  # of the commands that are run

    def run(self, *arguments: str, status: int = 0, group: str = "") -> str:
        done = dicomnode(group or self.group, *arguments, "--config", str(self.config))
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr if status else done.stdout

    def json(self, *arguments: str, group: str = "") -> Any:
        return json.loads(self.run(*arguments, "--json", group=group))

    def deliver(self) -> int:
        return sum(self.node.deliver(each) for each in self.node.settings.destinations)

    def take(self, database_url: str = "") -> None:
        """Go on with another database, as once the configuration names it."""
        self.node.database.close()
        settings = self.node.settings
        self.node = Pipeline(
            settings.node.data_directory,
            Path(settings.inference.methods[0].bundle),
            settings.destinations,
            database_url,
        )
        write_config(self.config, settings.destinations, database_url)


def analysed_data(folder: Path, models: Path) -> tuple[Path, str]:
    """A data directory with results that wait to be sent to both PACS, and its series."""
    places = [Destination(name=n, ae_title="X", address="", port=1) for n in ("rejecting", "plain")]
    node = Pipeline(folder / "data", models, places)
    files = write_series(folder / "series")
    node.bring_to_results(files)
    node.database.close()
    return folder / "data", series_uid(files)


@contextmanager
def result_site(folder: Path, analysed: tuple[Path, str], models: Path) -> Iterator[Site]:
    """A copy of such a directory, with both PACS there: nothing is sent yet."""
    template, uid = analysed
    shutil.copytree(template, folder / "data", symlinks=True)
    with ExitStack() as stack:
        rejecting, plain = (stack.enter_context(running_pacs()) for _ in range(2))
        destinations = [
            rejecting.destination.model_copy(update={"name": "rejecting", "rejection_notes": True}),
            plain.destination.model_copy(update={"name": "plain"}),
        ]
        config = folder / "dicomnode.toml"
        write_config(config, destinations)
        node = Pipeline(folder / "data", models, destinations)
        site = Site(node, config, uid, rejecting, plain)
        yield site
        site.node.database.close()


def write_config(config: Path, destinations: Any, database_url: str = "") -> None:
    node = f'[node]\ndata_directory = "data"\ndatabase_url = "{database_url}"\n'
    config.write_text(node + "".join(map(toml, destinations)))


def toml(destination: Destination) -> str:
    keys = destination.model_dump(mode="json", exclude_none=True)
    lines = (f"{key} = {json.dumps(value)}" for key, value in keys.items())
    return "\n".join(["[[destinations]]", *lines, ""])
