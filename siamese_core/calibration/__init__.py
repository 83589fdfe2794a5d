"""Thresholds, probabilities, and the error rates to expect."""
