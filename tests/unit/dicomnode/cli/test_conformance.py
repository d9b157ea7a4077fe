"""`dicomnode conformance` writes the statement to standard output."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from support.command import app


def test_it_writes_the_statement_of_the_configuration_at_hand(tmp_path: Path) -> None:
    config = tmp_path / "dicomnode.toml"
    config.write_text('[node]\nae_title = "CHESTAI"\n')
    shown = CliRunner().invoke(app, ["conformance", "--html", "--config", str(config)])
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.startswith("<!DOCTYPE html>")
    assert "Application Entity CHESTAI" in shown.stdout
