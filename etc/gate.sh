#!/usr/bin/env bash
# The gate: format, lint, types, tests; the same for a developer and for CI. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"
ruff format --check .
ruff check .
mypy
# Two at once, as the cores of a small machine; a file stays on one worker and shares its nodes, and
# those that take long, of integration, come before the many small ones of unit.
# The tests marked slow (200 kills, 50,000 instances, the benchmark) are left out: -m slow runs them;
# so are those marked long, which .ci/run runs after these.
exec pytest -m "not slow and not long" --numprocesses "${PYTEST_WORKERS:-2}" --dist loadfile \
    --no-loadscope-reorder "$@"
