"""The role of a worker: loads the models, then analyses one series at a time, or several."""

from __future__ import annotations

import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor

from dicomnode.analyse.highdicom_tables import read_modules_at_need
from dicomnode.analyse.worker import Worker
from dicomnode.config.settings import Settings
from dicomnode.data_directory.own_data import wait_for_own
from dicomnode.lifecycle import Stop, ends_process_on_fault, lost_for_nothing, tell_ready
from dicomnode.methods.bundles import Engines
from dicomnode.metrics.counters import MODEL_INFO
from dicomnode.results.build import warm_up
from storage.overview_records import node_of

log = logging.getLogger(__name__)

_NICENESS = 10
"""Of a worker's process, over its node's: what is computed is never at the cost of receiving."""


def run(settings: Settings, owner: str, stop: Stop) -> None:
    """Analyse until `stop`, when the others of the node have nothing to do.

    Loads first: with what cannot be loaded the node does not start.

    Raises:
        BundleError, DeviceError: as `load_engines`.
        ConfigurationError: the database is not this node's.
    """
    os.nice(_NICENESS)  # the threads of libraries, which start later, have it too
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # PyTorch's would wait in a loop
    with lost_for_nothing(stop), ThreadPoolExecutor(1, "warm-up") as beside:
        read_modules_at_need()
        warmed = beside.submit(warm_up)
        worker = Worker(settings, owner, stop)
        tell_models(worker.engines)
        warmed.result()
    tell_ready()
    wait_for_own(settings, node_of(owner), stop)
    others = [
        threading.Thread(target=ends_process_on_fault(each.run), args=(stop.renewed,))
        for each in worker.beside()
    ]
    for each in others:
        each.start()
    worker.run(stop.renewed)
    for each in others:
        each.join()


def tell_models(engines: Engines) -> None:
    """In the log and to Prometheus: which they are, and of each that was not trained on patients'
    labels that it was not."""
    for model in engines.identities:
        MODEL_INFO.labels(model.name, model.version, model.training.value).set(1)
        if model.warning:
            log.warning("%s (model %s %s)", model.warning, model.name, model.version)
    for model in engines.models:
        named = model.name, model.version, model.weights_sha256[:12], model.precision
        log.info("model %s %s, weights %s, computed in %s", *named)
