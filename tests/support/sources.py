"""The modules of the product and what each imports, read from their text."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("dicomnode", "inference", "storage")


@cache
def modules() -> dict[str, Path]:
    """Every module by its dotted name; a folder by that of its `__init__`. Without migrations."""
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            if "migrations" not in path.parts:
                name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
                found[name.removesuffix(".__init__")] = path
    return found


@cache
def tree(path: Path) -> ast.Module:
    """The file, parsed."""
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports(path: Path) -> tuple[str, ...]:
    """Names that the file imports, modules and what is in them; at its top and within."""
    found: list[str] = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            found.append(node.module)
            found += (f"{node.module}.{alias.name}" for alias in node.names)
    return tuple(found)


def folder_of(name: str) -> str:
    """The folder that a module lies in; a folder is its own."""
    return name if modules()[name].name == "__init__.py" else name.rpartition(".")[0]


@cache
def arrows_of_folders() -> dict[str, set[str]]:
    """By folder: the others that its files import. `__main__` is the door, and in no folder."""
    known = modules()
    found: dict[str, set[str]] = {folder_of(name): set() for name in known}
    for name, path in known.items():
        if name != "dicomnode.__main__":
            imported = {each for each in imports(path) if each in known}
            modules_alone = imported - {each.rpartition(".")[0] for each in imported}
            found[folder_of(name)] |= {folder_of(each) for each in modules_alone}
    return {folder: others - {folder} for folder, others in found.items()}
