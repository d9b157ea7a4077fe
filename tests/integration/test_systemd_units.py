"""The units in `etc/systemd`, as systemd reads them; it need not run for that."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from dicomnode.config.settings import Settings
from support.sources import ROOT
from support.tools import needed
from support.wait import PATIENCE_SECONDS

UNITS = ROOT / "etc" / "systemd"
INSTALLED = "/opt/dicomnode/bin/dicomnode"
MOST_EXPOSURE = 16  # tenths, of 100; a unit without any hardening has 96


@pytest.fixture
def units(tmp_path: Path) -> list[Path]:
    """With a program that is there, as systemd looks for it."""
    found = [UNITS / "dicomnode.service", UNITS / "dicomnode.socket"]
    for each in found:
        text = each.read_text().replace(INSTALLED, str(Path(sys.executable).with_name("dicomnode")))
        (tmp_path / each.name).write_text(text)
    return [tmp_path / each.name for each in found]


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [needed("systemd-analyze", "systemd"), *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS
    )


def test_systemd_finds_nothing_wrong_with_them(units: list[Path]) -> None:
    done = analyze("verify", "--man=no", *map(str, units))
    assert (done.returncode, done.stderr) == (0, "")


def test_the_service_is_shut_in(units: list[Path]) -> None:
    done = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSURE}", str(units[0]))
    assert done.returncode == 0, done.stdout


def test_the_socket_is_that_of_the_configuration() -> None:
    (port,) = re.findall(r"^ListenStream=.*:(\d+)$", (UNITS / "dicomnode.socket").read_text(), re.M)
    assert int(port) == Settings().receive.port


def test_they_call_commands_of_the_command_line() -> None:
    service = (UNITS / "dicomnode.service").read_text()
    config = "--config /etc/dicomnode/dicomnode.toml"
    assert f"\nExecStart={INSTALLED} serve {config}\n" in service
    assert f"\nExecReload={INSTALLED} config reload {config}\n" in service
