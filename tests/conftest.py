"""What every test may ask for."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# before torch is imported, here and in processes that tests start: the arrays are small, and the
# threads of workers that share cores wait for one another, ten times as long as one thread needs
os.environ.setdefault("OMP_NUM_THREADS", "1")

# a third of what Hypothesis takes by itself: it tries others in each run
settings.register_profile(
    "patient", deadline=None, max_examples=35, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("quick", settings.get_profile("patient"), max_examples=20)
settings.load_profile("patient")  # a machine with other work slows a test, it does not fail it


@pytest.fixture(autouse=True)
def _no_log_set_up_stays() -> Iterator[None]:
    """A command that a test, or a fixture of many tests, runs in its own process logs to the output
    of that moment, closed after it, from a level of its own on."""
    _undo_log_set_up()
    yield
    _undo_log_set_up()


def _undo_log_set_up() -> None:
    root = logging.getLogger()
    root.handlers = [each for each in root.handlers if type(each).__module__.startswith("_pytest")]
    root.setLevel(min(root.level, logging.WARNING))


@pytest.fixture(autouse=True, scope="module")
def _no_acceptor_of_a_module_stays_unrestricted() -> Iterator[None]:
    """pynetdicom has one setting for all acceptors of a process; ours sets it."""
    with _acceptors_as_before():
        yield


@pytest.fixture(autouse=True)
def _no_acceptor_stays_unrestricted() -> Iterator[None]:
    """The same for one test; a receiver of its module goes on as it was."""
    with _acceptors_as_before():
        yield


@contextmanager
def _acceptors_as_before() -> Iterator[None]:
    config = sys.modules.get("pynetdicom._config")
    before = bool(config and config.UNRESTRICTED_STORAGE_SERVICE)
    yield
    if (config := sys.modules.get("pynetdicom._config")) is not None:
        config.UNRESTRICTED_STORAGE_SERVICE = before  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def shared_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The untrained bundle on slices of 32 x 32, made once: the same for every node, and 94 MB."""
    from support.untrained import make_untrained_bundle

    folder = tmp_path_factory.mktemp("models") / "covnet-untrained"
    return make_untrained_bundle(folder, size=32)


@pytest.fixture(scope="session")
def small_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same weights in a bundle that says it is a demonstration."""
    from support.evaluated_phantoms import covnet_bundle

    return covnet_bundle(tmp_path_factory.mktemp("small"))


@pytest.fixture(autouse=True, scope="session")
def _new_databases_are_alike() -> Iterator[None]:
    """SQLite's by the statements that the first of them was made by: to run all migrations for each
    of some hundred takes long. Former schemas, and PostgreSQL's, are migrated as ever."""
    with pytest.MonkeyPatch.context() as patch:
        from support import same_schema

        same_schema.begin(patch)
        yield


@pytest.fixture
def real_migrations() -> Iterator[None]:
    """Each new database is made by running all migrations, as outside of tests."""
    from support import same_schema

    with same_schema.suspended():
        yield
