#!/usr/bin/env bash
# Show the node at its job: set up .venv with pinned versions, then run `dicomnode demo`.
# Needs Python 3.11 or newer with venv; no root. Arguments go to `dicomnode demo`.
set -euo pipefail
cd "$(dirname "$0")/.."
etc/set-up.sh
exec .venv/bin/dicomnode demo "$@"
