"""What pynetdicom keeps for itself is used with the versions that are known to have it alone."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pynetdicom
import pytest
from pynetdicom import build_context
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from dicomnode.errors import ConfigurationError
from dicomnode.network.associations import application_entity, requestor
from dicomnode.network.pynetdicom_version import FITTING_VERSIONS, check_pynetdicom
from support.wait import PATIENCE_SECONDS

ROOT = Path(__file__).parents[4]

PRIVATE_NAMES = {
    *("_abort_nonblocking", "_accepted_cx", "_check_async_ops", "_config"),
    *(
        "_create_association",
        "_create_socket",
        "_decode_pdu",
        "_globals",
        "_handlers",
        "_idle_timer",
        "_is_connected",
    ),
    *("_is_paused", "_is_transport_event", "_kill", "_kill_thread", "_process_recv_primitive"),
    *("_reactor_checkpoint", "_read_pdu_data", "_ready", "_rejected_cx", "_run_loop_delay"),
    *(
        "_run_reactor",
        "_send",
        "_sent_abort",
        "_serve_request",
        "_server",
        "_servers",
        "_shutdown_socket",
    ),
}
"""Look at each of them before a version is added to FITTING_VERSIONS."""

OUR_OWN = {"_assoc", "_contexts", "_lock", "_message_id", "_status", "_timeout", "_tls_args"}
"""Names that we and pynetdicom give to things of our own, each without the other's."""


@pytest.fixture
def other_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pynetdicom, "__version__", "3.0.5")


def test_the_version_that_is_installed_fits() -> None:
    check_pynetdicom()
    assert f'"pynetdicom=={FITTING_VERSIONS[-1]}"' in (ROOT / "pyproject.toml").read_text("utf-8")


@pytest.mark.usefixtures("other_version")
def test_with_another_neither_side_of_an_association_is_made() -> None:
    told = r"pynetdicom 3\.0\.5 is installed; this node needs 3\.0\.4"
    with pytest.raises(ConfigurationError, match=told):
        application_entity("NODE")
    with pytest.raises(ConfigurationError, match=told):
        requestor("NODE", [build_context(Verification)], 10)


def test_with_another_the_node_does_not_start(tmp_path: Path) -> None:
    config = tmp_path / "dicomnode.toml"
    config.write_text(f'[node]\ndata_directory = "{tmp_path / "data"}"\n')
    program = "import pynetdicom; pynetdicom.__version__ = '3.0.5'\n"
    program += "from dicomnode.cli.main import main; main()"
    command = [sys.executable, "-c", program, "serve", "--config", str(config)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert done.returncode != 0
    assert "this node needs 3.0.4" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()


def test_no_private_name_is_used_that_was_not_looked_at() -> None:
    library = Path(pynetdicom.__file__).parent
    source = "\n".join(path.read_text("utf-8") for path in library.glob("*.py"))
    theirs = set(re.findall(r"\b_[a-z]\w*", source)) - OUR_OWN
    used = {name for path in (ROOT / "dicomnode").rglob("*.py") for name in private_names(path)}
    assert used & theirs == PRIVATE_NAMES


def private_names(path: Path) -> Iterator[str]:
    """Of a file that imports pynetdicom: attributes, methods and modules with an underscore."""
    tree = ast.parse(path.read_text("utf-8"))
    modules = [
        node.module or ""
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pynetdicom")
    ]
    if not modules:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.ImportFrom) and node.module in modules:
            yield from (alias.name for alias in node.names)
    yield from (part for module in modules for part in module.split("."))
