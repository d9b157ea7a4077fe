"""Every package that is asked for has its version in `etc/constraints.txt`, and is of that range."""

from __future__ import annotations

import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from support.sources import ROOT


def test_every_requirement_is_pinned_within_its_range() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    asked = [Requirement(each) for each in (*project["dependencies"], *sum(extras, []))]
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
