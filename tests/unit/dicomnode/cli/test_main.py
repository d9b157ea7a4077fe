"""The command line before any command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dicomnode.version import VERSION
from storage.database import Database
from support.command import app
from support.sources import ROOT


@pytest.mark.parametrize("asked", ["--version", "version"])
def test_it_tells_its_version(asked: str) -> None:
    done = CliRunner().invoke(app, [asked])
    assert (done.exit_code, done.output) == (0, f"dicomnode {VERSION}\n")


def test_the_version_is_told_at_once_and_a_look_at_the_queue_imports_little(tmp_path: Path) -> None:
    """An administrator looks often, and a monitoring system every minute."""
    Database.open(f"sqlite:///{tmp_path}/node.sqlite3").close()
    config = tmp_path / "dicomnode.toml"
    config.write_text('[node]\ndata_directory = "."\n')
    heavy = "{'torch', 'numpy', 'pydicom', 'pynetdicom', 'highdicom', 'PIL', 'alembic', "
    heavy += "'dicomnode.cli.model'}"
    for command, more in (
        ("['--version']", "{'typer', 'sqlalchemy'}"),
        (
            f"['queue', 'list', '--config', {str(config)!r}]",
            "set()",
        ),
    ):
        code = f"import atexit, sys; sys.argv[1:] = {command}\n"
        code += f"atexit.register(lambda: print(sorted(({heavy} | {more}) & set(sys.modules))))\n"
        code += "from dicomnode.__main__ import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith("\n[]\n"), done.stdout
