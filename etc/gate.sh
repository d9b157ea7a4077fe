#!/usr/bin/env bash
# The gate: format, lint, types, tests; the same for a developer and for CI. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"
ruff format --check .
ruff check .
mypy
# Two cores: heavy integration tests side by side only slow each other down beyond that.
exec pytest --numprocesses "${PYTEST_WORKERS:-2}" --dist loadgroup "$@"
