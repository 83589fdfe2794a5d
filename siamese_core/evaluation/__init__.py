"""A verifier on people it has never seen."""
