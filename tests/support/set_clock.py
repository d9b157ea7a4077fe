"""The clock of some processes alone, set while they run."""

from __future__ import annotations

import subprocess
from pathlib import Path

from support.tools import needed

_SOURCE = Path(__file__).with_suffix(".c")


class SetClock:
    """`environment` is given to the processes; then `off_by` sets their clock."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._file, library = folder / "seconds", folder / "set_clock.so"
        compiler = needed("gcc", "gcc libc6-dev")
        subprocess.run([compiler, "-shared", "-fPIC", "-o", library, _SOURCE], check=True)
        self.off_by(0)
        self.environment = {"LD_PRELOAD": str(library), "CLOCK_OFF_BY": str(self._file)}

    def off_by(self, seconds: int) -> None:
        """Against the clock of the machine, from now on."""
        part = self._file.with_suffix(".part")
        part.write_text(str(seconds))
        part.replace(self._file)
