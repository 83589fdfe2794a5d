"""Place of a run's report: among its artifacts in MLflow, which are files where nothing else is configured."""

from pathlib import Path
from urllib.parse import unquote, urlparse

REPORT = "report.html"


def report_place(artifact_uri: str) -> str:
    """Find the report's file where a run's artifacts lie on this machine, else its URI; empty if the file is gone."""
    parsed = urlparse(artifact_uri)
    if parsed.scheme not in ("", "file"):
        return f"{artifact_uri}/{REPORT}"
    path = Path(unquote(parsed.path)) / REPORT
    return str(path) if path.is_file() else ""
