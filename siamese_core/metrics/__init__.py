"""Errors of verification and identification, from arrays alone."""
