#!/usr/bin/env bash
# The quick look before a commit, under a minute: format, lint, types, and the tests of what decides and
# of how the house is built. One part alone: etc/check.sh format|lint|types|tests. The whole gate: gate.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH" PYTHONDONTWRITEBYTECODE=
format() { ruff format --check .; }
lint() { ruff check .; }
types() { mypy; }
tests() {
    pytest -q --numprocesses "${PYTEST_WORKERS:-2}" --hypothesis-profile=quick tests/unit/dicomnode/decisions tests/unit/test_house.py \
        tests/unit/test_walls.py
}
for part in ${1:-format lint types tests}; do "$part"; done
