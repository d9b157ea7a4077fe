"""The rule of the house: which package may import which, and no circles at file level."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter

import pytest

from support.sources import ROOT, imports, modules, tree

FORBIDDEN = {
    "storage": {"dicomnode", "inference", "pydicom", "pynetdicom", "highdicom", "torch"},
    "inference": {"dicomnode", "storage", "pydicom", "pynetdicom", "highdicom", "sqlalchemy"},
    "dicomnode.decisions": {
        "inference",
        "os",
        "pathlib",
        "pydicom",
        "pynetdicom",
        "socket",
        "sqlalchemy",
        "subprocess",
        "time",
        "torch",
    },
    "dicomnode.results": {"os", "pathlib", "pynetdicom", "socket", "sqlalchemy", "storage"},
}
"""By room: what nothing in it may import, at any depth of the code."""

TOP_LEVEL = {
    "findings",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "README.md",
    "dicomnode",
    "etc",
    "inference",
    "pyproject.toml",
    "storage",
    "tests",
}


@pytest.mark.parametrize("room", FORBIDDEN)
def test_a_room_imports_only_what_it_may(room: str) -> None:
    inside = {name: path for name, path in modules().items() if f"{name}.".startswith(f"{room}.")}
    assert inside, f"{room} has no modules"
    broken = [
        f"{name} imports {imported}"
        for name, path in inside.items()
        for imported in imports(path)
        if imported.partition(".")[0] in FORBIDDEN[room]
    ]
    assert broken == []


def test_files_import_each_other_in_no_circle() -> None:
    known = modules()
    arrows = {
        name: {each for each in imports(path) if each in known and each != name}
        for name, path in known.items()
    }
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        pytest.fail(f"import circle: {' -> '.join(error.args[1])}")


def test_the_top_level_holds_what_the_house_has_and_nothing_else() -> None:
    tracked = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    made = {"demo-output", "dicomnode-data", "build", "dist"}
    made |= {name for name in tracked if name.endswith((".egg-info", "__pycache__"))}
    assert tracked - made == TOP_LEVEL


def test_no_code_reaches_for_pickle_or_eval() -> None:
    broken = []
    for name, path in modules().items():
        calls = [
            n.func.id
            for n in ast.walk(tree(path))
            if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
        ]
        if {"eval", "exec"} & set(calls) or "pickle" in set(imports(path)):
            broken.append(name)
    assert broken == []
