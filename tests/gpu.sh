#!/usr/bin/env bash
# All that needs a GPU, in one command and within six minutes: bash tests/gpu.sh
# Needs a Python with numpy and a PyTorch for CUDA ($PYTHON, else python3), no network, and no other
# package: what wants one (safetensors, for training) is skipped, and told. Fails when a check does.
#   --cpu      rehearse on the CPU with small sizes, where there is no GPU
#   --pack F   write what a bare machine needs to F (.tar.gz, under 2 MiB), and do nothing else
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "${1:-}" = --pack ]; then
  exec tar czf "${2:?a file to write}" --exclude=__pycache__ --exclude=inference/demonstration/covnet \
    --exclude=inference/demonstration/regions inference tests/support tests/gpu tests/gpu.sh
fi
export PYTHONPATH=.:tests
exec "${PYTHON:-python3}" -m gpu "$@"
