#!/usr/bin/env bash
# Lint, types, tests. Called by `make test` with the environment on PATH.
set -euo pipefail
ruff format --check .
ruff check .
mypy
# Two workers, a file each at a time; one thread each, so that they do not fight for two cores.
export OMP_NUM_THREADS=1
exec python -m pytest -n 2 --dist loadfile
