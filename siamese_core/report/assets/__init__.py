"""The style and the script of the HTML pages, written into each page."""

from importlib.resources import files


def read(name: str) -> str:
    """The text of a file of this folder."""
    return files(__name__).joinpath(name).read_text(encoding="utf-8")
