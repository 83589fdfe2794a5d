"""Files that a process writes are for its user alone: faces, embeddings and reports about people are in them."""

import os


def keep_files_private() -> None:
    """Let nobody else read what this process and those that it starts write from now on."""
    os.umask(0o077)
