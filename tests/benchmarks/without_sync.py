"""The node's command line with fsync and fdatasync made to do nothing: for the benchmark alone.

`python tests/benchmarks/without_sync.py run --config FILE`, or any other command of the node. What
is then left is everything but the disk. (SQLite has calls of its own and goes on syncing.)
"""

from __future__ import annotations

import os


def _nothing(_descriptor: object) -> None:
    pass


if __name__ == "__main__":
    os.fsync = _nothing  # type: ignore[assignment]
    os.fdatasync = _nothing  # type: ignore[assignment]
    from dicomnode.__main__ import main

    main()
