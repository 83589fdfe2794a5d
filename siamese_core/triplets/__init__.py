"""Triplets to learn from, and the losses over them."""
