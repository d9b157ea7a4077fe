"""What is installed: each package in a version of `etc/constraints.txt`, and no program that hides
one of DCMTK's."""

from __future__ import annotations

import tomllib
from importlib.metadata import distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from support.sources import ROOT


def test_every_requirement_is_pinned_within_its_range() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lists = (project["dependencies"], *project["optional-dependencies"].values())
    asked = [Requirement(each) for some in lists for each in some]
    lines = (ROOT / "etc" / "constraints.txt").read_text().splitlines()
    pinned = {
        canonicalize_name(name): version
        for name, _, version in (line.partition("==") for line in lines if line[0] != "#")
    }
    wrong = [
        str(each)
        for each in asked
        if not each.specifier.contains(pinned.get(canonicalize_name(each.name), "0"))
    ]
    assert wrong == []


def test_an_activated_environment_hides_no_program_of_dcmtk() -> None:
    """pynetdicom's have the same names, and other options."""
    programs = distribution("pynetdicom").entry_points.select(group="console_scripts")
    text = (ROOT / "etc" / "set-up.sh").read_text()
    (removed,) = [line for line in text.splitlines() if "rm -f " in line]
    assert set(removed.rstrip(")").partition("rm -f ")[2].split()) == {
        each.name for each in programs
    }
    assert text.index("pip install") < text.index(removed), "they come with each installation"
