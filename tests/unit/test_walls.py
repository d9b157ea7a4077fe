"""The walls of the house: which folder imports which, by name, and how its rooms are laid out."""

from __future__ import annotations

import ast
from collections import Counter
from graphlib import TopologicalSorter

import pytest

from support.sources import ROOT, arrows_of_folders, folder_of, imports, modules, tree

WALLS = """
.: .decisions .decisions.arrival inference storage
.analyse: . .assess .config .data_directory .decisions .decisions.arrival .decisions.contrast
    .decisions.eligibility .decisions.stack .deliver .dicom_files .methods .metrics .results
    .results.common inference inference.arrays inference.lungs storage
.assess: . .config .data_directory .decisions .decisions.arrival .decisions.eligibility
    .decisions.stack .deliver .dicom_files .metrics .network .notes .pull .results.common
    storage
.audit: . .config
.campaign: . .assess .audit .config .decisions .decisions.campaign .dicom_files .methods .network
    .pull storage
.canary: . .config .data_directory .decisions .decisions.arrival .decisions.eligibility
    .decisions.operating .deliver .methods .network .synthetic storage
.cli: . .analyse .assess .audit .campaign .canary .cli.views .commission .config .conformance
    .data_directory .decisions .decisions.campaign .deliver .monitor .network .offline .placement
    .processes .pull .receive .weights inference inference.bundles inference.evaluation.report
    inference.training storage
.cli.views: . .analyse .audit .campaign .config .data_directory .decisions .decisions.campaign
    .decisions.delivery .decisions.operating .dicom_files .health .methods .notes .offline .pull
    .results.common inference inference.bundles inference.evaluation.report storage
.commission: . .commitment .config .data_directory .decisions .decisions.arrival
    .decisions.delivery .deliver .fast_scp .methods .network .receive .results .results.common
    .synthetic inference inference.evaluation.report storage
.commitment: . .config .data_directory .decisions .decisions.delivery .dicom_files .fast_scp
    .metrics .network storage
.config: . .decisions .decisions.arrival .decisions.delivery .decisions.eligibility
    .decisions.operating inference inference.demonstration storage
.conformance: . .audit .commitment .config .decisions .decisions.arrival .decisions.delivery
    .decisions.eligibility .deliver .dicom_files .fast_scp .network .receive .results.common
    .results.documents .synthetic inference.bundles inference.evaluation.report
.data_directory: . .audit .config .decisions storage
.decisions: storage
.decisions.campaign: .decisions .decisions.arrival .decisions.eligibility
.decisions.delivery: .decisions
.decisions.arrival: .decisions .decisions.eligibility .decisions.stack storage
.decisions.contrast: .decisions
.decisions.eligibility: .decisions .decisions.contrast .decisions.image_kind .decisions.stack
    storage
.decisions.image_kind: .decisions .decisions.contrast
.decisions.operating: .decisions .decisions.arrival .decisions.delivery storage
.decisions.stack: .decisions .decisions.contrast .decisions.image_kind
.deliver: . .audit .commitment .config .data_directory .decisions .decisions.delivery .dicom_files
    .methods .metrics .network .results.common .results.documents storage
.dicom_files: . .decisions .decisions.arrival .decisions.eligibility .decisions.image_kind
    .decisions.stack inference storage
.fast_scp: . .decisions.arrival storage
.health: . .config .data_directory .decisions.arrival .decisions.delivery .decisions.operating
    .processes storage
.methods: . .config .decisions inference inference.backends inference.bundles inference.lungs
.metrics: . .decisions.operating storage
.monitor: . .audit .canary .config .data_directory .decisions .decisions.operating .health .metrics
    .network .web storage
.network: . .audit .config .decisions .decisions.eligibility .dicom_files
.notes: . .config .data_directory .decisions .decisions.arrival .deliver .dicom_files
    .results.common .results.documents storage
.offline: . .analyse .assess .config .decisions .dicom_files .methods .network .notes .results
    .results.documents inference storage
.placement: . .config .decisions storage
.processes: . .audit .config .data_directory .decisions .decisions.operating .methods .metrics
    .network inference inference.bundles storage
.pull: . .audit .config .data_directory .decisions .decisions.arrival .decisions.delivery
    .dicom_files .fast_scp .network .receive storage
.receive: . .audit .commitment .config .data_directory .decisions .decisions.arrival .deliver
    .dicom_files .fast_scp .metrics .network .results.common storage
.results: .decisions .results.common .results.pictures .results.report .results.segmentation
    inference
.results.common: .decisions .dicom_files inference
.results.documents: .decisions .results.common .results.pictures inference
.results.pictures: .decisions .results.common inference
.results.report: .decisions .results.common .results.documents .results.segmentation inference
.results.segmentation: .decisions .results.common .results.pictures inference inference.lungs
.synthetic: . .decisions .results .results.common .results.documents inference inference.arrays
    inference.bundles inference.simulation
.web: . .audit .config .decisions .decisions.operating .metrics storage
.weights: . .assess .config .decisions.eligibility .dicom_files .methods .results.common
    .results.pictures inference inference.arrays inference.backends inference.bundles
    inference.covnet inference.evaluation.measures inference.evaluation.report
    inference.location_attention inference.lungs inference.simulation inference.training
inference:
inference.arrays: inference
inference.backends: inference inference.networks
inference.bundles: inference inference.backends
inference.covnet: inference inference.arrays inference.backends inference.bundles
    inference.networks
inference.demonstration:
inference.evaluation:
inference.evaluation.measures: inference inference.arrays inference.training
inference.evaluation.report: inference inference.bundles inference.evaluation.measures
inference.location_attention: inference inference.arrays inference.backends inference.bundles
    inference.lungs inference.networks
inference.lungs: inference inference.arrays inference.backends inference.bundles inference.networks
inference.networks:
inference.simulation: inference inference.arrays inference.lungs
inference.training: inference inference.arrays
inference.training.covnet: inference inference.arrays inference.bundles inference.covnet
    inference.networks inference.training
inference.training.lungs: inference inference.arrays inference.bundles inference.lungs
    inference.networks inference.training
inference.training.regions: inference inference.arrays inference.backends inference.bundles
    inference.location_attention inference.networks inference.training
storage:
"""
"""Each folder, then every other folder that its files import; the table names no more than that.
`.` is `dicomnode`: whoever needs a new arrow draws it here, and sees whether it still goes down."""


def _walls() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    folder = ""
    for line in WALLS.strip().splitlines():
        left, colon, right = line.partition(":")
        if colon:
            folder = _whole(left)
            found[folder] = set()
        found[folder] |= {_whole(each) for each in (right if colon else left).split()}
    return found


def _whole(name: str) -> str:
    return "dicomnode" + name.removesuffix(".") if name.startswith(".") else name


def test_folders_import_what_the_table_names_and_the_table_names_no_more() -> None:
    assert arrows_of_folders() == _walls()


def test_folders_import_each_other_in_no_circle() -> None:
    TopologicalSorter(arrows_of_folders()).prepare()


def test_the_fast_scp_knows_no_node() -> None:
    known = modules()
    of_the_root = {
        each
        for name, path in known.items()
        if name.startswith("dicomnode.fast_scp.")
        for each in imports(path)
        if each in known and folder_of(each) == "dicomnode" and each != "dicomnode"
    }
    assert of_the_root == {"dicomnode.errors"}


def test_the_command_line_is_imported_by_its_door_alone() -> None:
    outside = [
        name
        for name, path in modules().items()
        if not name.startswith("dicomnode.cli")
        and any(each.startswith("dicomnode.cli") for each in imports(path))
    ]
    assert outside == ["dicomnode.__main__"]


def test_no_file_is_long_and_no_folder_holds_one_file() -> None:
    known = modules()
    long = [name for name, path in known.items() if len(path.read_text("utf-8").splitlines()) > 400]
    assert long == []
    inside = Counter(name.rpartition(".")[0] for name in known if "." in name)
    assert [name for name in inside if inside[name] < 2] == []
    at_the_root = [name for name in known if folder_of(name) == "dicomnode"]
    assert len(at_the_root) <= 12


@pytest.mark.parametrize("folder", sorted(_walls()))
def test_each_folder_opens_with_a_map_of_its_files(folder: str) -> None:
    known = modules()
    inside = [name for name in known if name.rpartition(".")[0] == folder]
    names = {name.rpartition(".")[2] + ("/" if name in _walls() else "") for name in inside}
    text = ast.get_docstring(tree(known[folder])) or ""
    listed = {line.split()[0] for line in text.splitlines()[2:] if "  " in line}
    assert listed == names - {"__main__"}


def test_unit_tests_lie_where_what_they_test_lies() -> None:
    """`tests/unit/PACKAGE/test_MODULE.py`, or `test_MODULE_more.py`."""
    known, unit = modules(), ROOT / "tests" / "unit"
    lost = []
    for path in sorted(unit.rglob("test_*.py")):
        if path.parent != unit:
            folder = ".".join(path.relative_to(unit).parent.parts)
            words = path.stem.split("_")[1:]
            fitting = ("_".join(words[:count]) for count in range(len(words), 0, -1))
            if not any(f"{folder}.{each}" in known for each in fitting):
                lost.append(str(path.relative_to(unit)))
    assert lost == []
