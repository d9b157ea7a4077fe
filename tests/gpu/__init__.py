"""What can only be checked on a GPU; `tests/gpu.sh` runs it, rehearsed on a CPU in the suite."""
