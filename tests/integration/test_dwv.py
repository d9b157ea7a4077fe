"""dwv, a viewer in the browser that inflates nothing, on one object of every kind.

It comes from npm (`etc/npm-packages.sh`) and wants Chromium (`etc/debian-packages.sh chromium`).
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dicomnode.results.build import encode
from support.result_kinds import DOCUMENTS, PICTURES, every_kind
from support.tools import needed, npm_folder
from support.wait import PATIENCE_SECONDS

SCRIPT = Path(__file__).parents[1] / "support" / "dwv.mjs"
SHOWN = {kind: [1] for kind in ("montage", "key slice", "page of a note", "slice")}
SHOWN |= {"all slices in one": [1, 12]}
"""Pictures, the last two in JPEG, with their slices and frames."""

KINDS = (*DOCUMENTS, *PICTURES)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Any:
    modules, chromium = npm_folder("dwv"), needed("chromium", "chromium")
    folder = tmp_path_factory.mktemp("kinds")
    for number, kind in enumerate(KINDS):
        (folder / f"{number}.dcm").write_bytes(encode(every_kind()[kind]))
    done = subprocess.run(
        ["node", str(SCRIPT), str(modules), str(folder), chromium],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return {kind: json.loads(done.stdout)[f"{number}.dcm"] for number, kind in enumerate(KINDS)}


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_dwv_reads_every_element(kind: str, seen: Any) -> None:
    data_set = every_kind()[kind].data_set
    assert seen[kind]["tags"] == len(data_set)
    assert seen[kind]["text"] == data_set.SeriesDescription
    if "PixelData" in data_set:
        if data_set["PixelData"].is_undefined_length:
            return  # fragments have items around them
        a_byte_each = 8 if data_set.BitsAllocated == 1 else 1  # dwv unpacks bits
        assert seen[kind]["pixels"] == len(data_set.PixelData) * a_byte_each


@pytest.mark.long
@pytest.mark.parametrize("kind", SHOWN)
def test_dwv_shows_the_pictures(kind: str, seen: Any) -> None:
    data_set = every_kind()[kind].data_set
    assert seen[kind]["size"] == [data_set.Columns, data_set.Rows, *SHOWN[kind]]
