"""The folder in which earlier versions kept what OpenVINO compiled: removed, nothing reads it.

Each file is the size of the weights (94 MB), one for every bundle and every version of OpenVINO
that the node ever had.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

_FOLDER = "compiled-models"
_COMPILED = re.compile(r"[0-9]+\.blob")
"""As OpenVINO names them; what else lies there is not ours and stays."""


def remove_compiled(data_directory: Path) -> int:
    """How many files were removed, and the folder when it is empty then; a link is not followed.

    Raises OSError when the folder cannot be read, or a file not removed.
    """
    folder = data_directory / _FOLDER
    if folder.is_symlink() or not folder.is_dir():
        return 0
    compiled = [each for each in folder.iterdir() if _COMPILED.fullmatch(each.name)]
    ours = [each for each in compiled if each.is_file() and not each.is_symlink()]
    for each in ours:
        each.unlink(missing_ok=True)
    with suppress(OSError):  # something else lies there
        folder.rmdir()
    return len(ours)
