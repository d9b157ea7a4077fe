"""highdicom's table, a module at a time: what it says, and that highdicom asks nothing else."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from dicomnode.analyse.highdicom_tables import _FILE, ModuleAttributes
from support.sources import ROOT


def test_each_module_has_the_attributes_that_the_whole_file_gives_it() -> None:
    table = ModuleAttributes()
    for module, attributes in json.loads(_FILE.read_bytes()).items():
        assert table[module] == attributes
        assert module in table


@pytest.mark.parametrize("module", ["", "no-module", 'patient": [', "acquisition"])
def test_a_module_that_is_none_is_not_found(module: str) -> None:
    table = ModuleAttributes()
    assert module not in table
    with pytest.raises(KeyError):
        table[module]


def test_results_are_made_without_the_whole_table() -> None:
    code = (
        "from dicomnode.results.build import warm_up; import sys\n"
        "from dicomnode.analyse.highdicom_tables import read_modules_at_need\n"
        "read_modules_at_need(); warm_up()\n"
        "of = sys.modules['highdicom._standard_utils'].get_module_attribute_map\n"
        "from highdicom import base, image\n"
        "assert base.get_module_attribute_map is image.get_module_attribute_map is of\n"
        "print(0 < len(of()) < 100)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.stdout == "True\n", done.stderr
