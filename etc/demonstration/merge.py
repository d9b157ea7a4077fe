"""Puts the manifests of several simulated sets together.

    python etc/demonstration/merge.py OUT SET...

OUT is a folder beside the sets; it gets `covnet.csv`, `regions.csv` and `lungs.csv`, whose scans
bear the name of their set before their own.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

TASKS = ("covnet", "regions", "lungs")
PATHS = ("path", "lungs", "lesions", "boxes")
MARK = "simulation.json"


def main(out: Path, sets: list[Path]) -> None:
    out.mkdir(exist_ok=True)
    for task in TASKS:
        rows = [row for each in sets for row in rows_of(each, task)]
        with (out / f"{task}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    (out / MARK).write_text(json.dumps({"merged": [each.name for each in sets]}))


def rows_of(folder: Path, task: str) -> list[dict[str, str]]:
    """The rows of a set, as they read from a folder beside it."""
    with (folder / f"{task}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["scan"] = f"{folder.name}-{row['scan']}"
        row.update({key: f"../{folder.name}/{row[key]}" for key in PATHS if row.get(key)})
    return rows


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(each) for each in sys.argv[2:]])
