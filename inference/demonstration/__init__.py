"""The bundles that the product comes with, one for each task.

They were trained on simulated lesions (`etc/demonstration/README.md` says how): what they find has
no clinical meaning, and serving with them asks for the site's word.
"""

from __future__ import annotations

from pathlib import Path

_TASKS = ("covnet", "lungs", "regions")


def shipped_bundles() -> dict[str, Path]:
    """The folder of each bundle, by task."""
    here = Path(__file__).resolve().parent
    return {task: here / task for task in _TASKS}
