#!/usr/bin/env bash
# Lint, types, tests. Called by `make test` with the environment on PATH.
set -euo pipefail
ruff format --check .
ruff check .
mypy
exec python -m pytest
