"""The command line before any command."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from dicomnode.cli.main import app
from dicomnode.version import VERSION


@pytest.mark.parametrize("asked", ["--version", "version"])
def test_it_tells_its_version(asked: str) -> None:
    done = CliRunner().invoke(app, [asked])
    assert (done.exit_code, done.output) == (0, f"dicomnode {VERSION}\n")
