"""Where a model comes from: the version of the code."""

import hashlib
import subprocess
from pathlib import Path

from siamese_core import __version__

_ROOT = Path(__file__).resolve().parents[1]


def code_version() -> str:
    """Package version, git commit where there is one, and the hash of siamese_core's source."""
    parts = [__version__, f"core-{_source_hash()[:12]}"]
    if commit := _commit():
        parts.insert(1, f"git-{commit[:12]}")
    return "+".join(parts)


def file_sha256(path: str | None) -> str | None:
    """The hash of a file, or None if there is no such file."""
    if path is None or not Path(path).expanduser().is_file():
        return None
    with Path(path).expanduser().open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _source_hash() -> str:
    digest = hashlib.sha256()
    for path in sorted((_ROOT / "siamese_core").glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _commit() -> str | None:
    command = ["git", "-C", str(_ROOT), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
