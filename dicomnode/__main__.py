"""The `dicomnode` command, and `python -m dicomnode`."""

import gc
import sys

ROLE = "role"
"""`dicomnode role NAME …` is one process of a node, as `serve` starts it: no command line."""


def main() -> None:
    """Run the command line, or the process of a node."""
    gc.disable()  # nothing of a module is garbage: an eighth of the time to start
    if sys.argv[1:2] == [ROLE]:
        from dicomnode.processes.roles import main as run
    else:
        from dicomnode.cli.main import main as run
    gc.enable()
    run()


if __name__ == "__main__":
    main()
