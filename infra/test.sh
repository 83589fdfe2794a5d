#!/usr/bin/env bash
# Lint, types, tests. Called by `make test` with the environment on PATH.
set -euo pipefail
ruff format --check .
ruff check .
mypy
# Two workers, a file each at a time; one thread each, so that they do not fight for two cores.
export OMP_NUM_THREADS=1
# In the order of tests/conftest.py: by itself the plugin starts the files with the fewest tests last, which take longest.
exec python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
