"""Each command of a benchmark that a document names runs as it stands there."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
_COMMAND = re.compile(r"python (tests/benchmarks/\w+\.py)((?: [^\s`\"';,:]+)*)")
_OPTION = re.compile(r"--[a-z-]+")


def documents() -> list[str]:
    """Every text that may name a command: documents, settings, scripts, docstrings."""
    paths = [*ROOT.glob("*.md"), ROOT / "pyproject.toml"]
    paths += [path for path in (ROOT / "etc").rglob("*") if path.suffix in {".md", ".sh", ".toml"}]
    scripts = [*HERE.glob("*.py"), *(ROOT / "etc").rglob("*.py")]
    docstrings = [ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "" for path in scripts]
    return [*docstrings, *(path.read_text("utf-8") for path in [*paths, *HERE.glob("*.md")])]


def documented() -> dict[str, set[str]]:
    """The options that are named with each script."""
    found: dict[str, set[str]] = {}
    for text in documents():
        for script, arguments in _COMMAND.findall(text):
            found.setdefault(script, set()).update(_OPTION.findall(arguments))
    return found


COMMANDS = documented()


@pytest.mark.long
@pytest.mark.parametrize("script", sorted(COMMANDS))
def test_it_runs_from_the_top_of_the_project_and_knows_its_options(script: str) -> None:
    done = subprocess.run(
        [sys.executable, script, "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    if not script.endswith("without_sync.py"):  # all its arguments are the node's
        assert {option for option in COMMANDS[script] if option not in done.stdout} == set()


@pytest.mark.parametrize("path", sorted(HERE.glob("*.py")), ids=lambda path: str(path.name))
def test_what_can_be_run_is_documented_and_hides_no_package(path: Path) -> None:
    """A script's own folder comes first on the path: `inference.py` hid the package."""
    if "__main__" in path.read_text("utf-8") and path != Path(__file__):
        assert str(path.relative_to(ROOT)) in COMMANDS
    elsewhere = [each for each in [str(ROOT), *sys.path] if Path(each or ".").resolve() != HERE]
    assert PathFinder.find_spec(path.stem, elsewhere) is None
    assert path.stem not in sys.stdlib_module_names


@pytest.mark.slow
def test_a_small_run_of_receiving_prints_its_table(tmp_path: Path) -> None:
    """As a script, whose children are scripts: each finds the packages, from any folder."""
    command = [sys.executable, str(HERE / "receive.py"), "--instances", "8", "--associations", "1"]
    command += ["--receivers", "ours,pynetdicom", "--folder", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "| ours |" in done.stdout
