"""highdicom's table of which attributes each module of DICOM has, read a module at a time.

highdicom parses all of it for its first object: 22 MB of JSON become 0.9 million Python objects,
61 MiB for as long as the process lives, of which results ask for some thirty modules of 436.
"""

from __future__ import annotations

import json
import sys
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import highdicom

_ASKED = "get_module_attribute_map"
_FILE = Path(highdicom.__file__).parent / "_standard" / "module_attribute_map.json"


class ModuleAttributes(dict[str, Any]):
    """Of each module that has been asked for its attributes, as the file has them."""

    def __init__(self, file: Path = _FILE) -> None:
        super().__init__()
        self._file = file

    def __missing__(self, module: str) -> Any:
        """
        Raises:
            KeyError: no such module is known.
        """
        with self._file.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as text:
            start = text.find(b'\n  "%s": [' % module.encode())
            if start < 0:
                raise KeyError(module)
            entries = text[text.find(b"[", start) : text.find(b"\n  ]", start)] + b"]"
        self[module] = found = json.loads(entries)
        return found

    def __contains__(self, module: object) -> bool:
        try:
            self[str(module)]
        except KeyError:
            return False
        return True


def read_modules_at_need() -> None:
    """From here on, wherever highdicom asks for the table; not where its file is written in another
    way than this release's, which this would not find its way in."""
    with _FILE.open("rb") as file:
        if not file.read(8).startswith(b'{\n  "'):
            return
    table = ModuleAttributes()

    def at_need() -> ModuleAttributes:
        return table

    for name, module in list(sys.modules.items()):
        if name.startswith("highdicom.") and hasattr(module, _ASKED):
            setattr(module, _ASKED, at_need)
