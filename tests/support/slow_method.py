"""A method of known cost: it sleeps, as where a GPU computes and this machine's cores do not.

Its bundle is that of the texture method. So that processes of a node know it, `on_path` writes a
folder for their PYTHONPATH, from which Python enters it in the table of tasks when it starts.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.bundles.bundle import Bundle
from inference.bundles.tasks import EngineOptions
from inference.findings import Findings
from inference.progress import Progress
from inference.volume import CtVolume
from support import texture_method
from support.texture_method import TextureMethod, TextureNetwork

SECONDS = "SLOW_METHOD_SECONDS"
TASK = replace(texture_method.TASK, engine=f"{__name__}:load")


class SlowMethod(TextureMethod):
    """As the texture method, after so many seconds."""

    def analyse(
        self, volume: CtVolume, lungs: NDArray[np.bool_], progress: Progress | None = None
    ) -> Findings:
        time.sleep(float(os.environ[SECONDS]))
        return super().analyse(volume, lungs, progress)


def load(bundle: Bundle, options: EngineOptions) -> SlowMethod:
    """As the table of tasks asks for it."""
    network = TextureNetwork(len(bundle.card.classes))
    network.load_state_dict(dict(bundle.weights))
    return SlowMethod(network, bundle, options)


def on_path(folder: Path) -> str:
    """Writes the folder; the PYTHONPATH of processes that are to know the method."""
    folder.mkdir(parents=True, exist_ok=True)
    tests = Path(__file__).resolve().parents[1]
    (folder / "sitecustomize.py").write_text(
        "from inference.bundles.tasks import TASKS, Task\n"
        f'TASKS["{TASK.name}"] = Task("{TASK.name}", "{TASK.network}", "{TASK.settings}",'
        f' "{TASK.engine}")\n'
    )
    return os.pathsep.join((str(folder), str(tests.parent), str(tests)))
