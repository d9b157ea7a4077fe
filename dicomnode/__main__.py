"""The `dicomnode` command, and `python -m dicomnode`."""

import gc
import sys
from importlib.util import find_spec
from pathlib import Path

from dicomnode.version import VERSION

ROLE = "role"
"""`dicomnode role NAME …` is one process of a node, as `serve` starts it: no command line."""


def main() -> None:
    """Run the command line, or the process of a node, with the packages of this installation."""
    gc.disable()  # nothing of a module is garbage: an eighth of the time to start
    _check_packages()
    if sys.argv[1:] == ["--version"]:
        print(f"dicomnode {VERSION}")  # as the command line does, which takes a second to load
        return
    if sys.argv[1:2] == [ROLE]:
        from dicomnode.processes.roles import main as run
    else:
        from dicomnode.cli.main import main as run
    gc.freeze()  # no later collection looks through them either
    gc.enable()
    run()


def _check_packages() -> None:
    """`inference` and `storage` are common names: what else bears one of them and comes first on
    Python's path would be imported in place of ours, and fail in the middle of its work."""
    here = Path(__file__).resolve().parents[1]
    for name in ("inference", "storage"):
        spec = find_spec(name)
        found = Path(spec.origin).resolve() if spec and spec.origin else None
        if found != here / name / "__init__.py":
            print(
                f"dicomnode: another package {name} hides the one of dicomnode: it is at "
                f"{found or 'an unknown place'}, and {here / name} is needed. Install dicomnode "
                "into an environment of its own, and unset PYTHONPATH",
                file=sys.stderr,
            )
            raise SystemExit(2)


if __name__ == "__main__":
    main()
