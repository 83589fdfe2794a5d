"""The `siamese` command."""
