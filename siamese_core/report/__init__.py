"""Pages for people, and the model card."""
