"""The benchmark of receiving runs, and tells of every receiver what it says it tells."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import receive
from benchmarks.comparison import write_instances
from support.stamped import small_slice


@pytest.mark.slow
def test_the_quick_run_prints_a_row_for_each_receiver(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    receive.main(["--quick", "--folder", str(tmp_path)])
    told = capsys.readouterr().out
    assert "durable files of that size" in told
    rows = [line.strip("| ").split(" | ") for line in told.splitlines() if line.startswith("| 4 ")]
    assert [row[1] for row in rows] == list(receive.NAMES)
    by_name = {row[1]: row for row in rows}
    assert by_name["storescp"][3] == by_name["pynetdicom"][4] == "1.00"
    assert all(float(row[5]) > 0 and int(row[6]) > 0 for row in rows)
    assert list(tmp_path.iterdir()) == []


def test_every_instance_that_is_sent_differs(tmp_path: Path) -> None:
    files = write_instances(tmp_path / "instances", [small_slice()], 20)
    assert len({file.read_bytes() for file in files}) == 20


def test_a_receiver_that_nobody_knows_is_refused() -> None:
    with pytest.raises(SystemExit):
        receive.main(["--receivers", "ours,theirs"])
