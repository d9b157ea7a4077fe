#!/usr/bin/env bash
# The gate: format, lint, types, tests; the same for a developer and for CI. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"
# the tests start hundreds of processes: none need compile the sources again
export PYTHONDONTWRITEBYTECODE=
ruff format --check .
ruff check .
mypy
# Three at once: two cores, and those of integration wait for a peer a third of their time. A file
# stays on one worker and shares its nodes; those that take long come before the many small ones of unit.
# The tests marked slow (200 kills, 50,000 instances, the benchmark) are left out: -m slow runs them;
# so are those marked long, which .ci/run runs after these.
exec pytest -m "not slow and not long" --numprocesses "${PYTEST_WORKERS:-3}" --dist loadfile \
    --no-loadscope-reorder "$@"
