#!/usr/bin/env bash
# Lint, types, layers, tests, coverage. Called by `make test` with the environment on PATH.
set -euo pipefail
ruff format --check .
ruff check .
mypy
lint-imports
# Two workers, a file each at a time; one thread each, so that they do not fight for two cores.
export OMP_NUM_THREADS=1
# COVERAGE=all measures child processes too: pipelines, steps, command. The library's tests hardly start any.
[ "${COVERAGE:-}" = all ] && scope="*" || scope="siamese_core/*"
coverage erase
failed=0
# In the order of tests/conftest.py: by itself the plugin starts the files with the fewest tests last, which take longest.
coverage run -m pytest -n 2 --dist loadfile --no-loadscope-reorder || failed=$?
coverage combine --quiet
echo "Coverage of ${scope%/*}: the ten least covered files, and all."
coverage report --include="$scope" --sort=cover | awk 'NR <= 12; END { print }'
exit "$failed"
