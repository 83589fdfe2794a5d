"""Measurements against the peers, one file a subject: `python -m benchmarks` (or `make bench`) runs them all."""
