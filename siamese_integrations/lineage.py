"""The origin of a model: data, code and run."""

import hashlib
import subprocess
from pathlib import Path

import yaml
from zenml import get_step_context

from siamese_core import __version__
from siamese_core.data.manifest import Manifest
from siamese_integrations.zenml_cache import ASSETS

_ROOT = Path(__file__).resolve().parents[1]


def origin(manifest: Manifest) -> dict[str, str]:
    """The data, code and run that the artifacts of this step are made from."""
    run = get_step_context().pipeline_run
    return {
        "data_manifest_sha256": manifest.sha256(),
        "code_version": code_version(),
        "zenml_run": run.name,
        "zenml_run_id": str(run.id),
    }


def configuration() -> str:
    """All parameters of the pipeline run of this step, as YAML."""
    return yaml.safe_dump(get_step_context().pipeline_run.config.parameters, sort_keys=False)


def code_version() -> str:
    """Package version, git commit where there is one, and the hash of siamese_core's source."""
    parts = [__version__, f"core-{_source_hash()[:12]}"]
    if commit := _commit():
        parts.insert(1, f"git-{commit[:12]}")
    return "+".join(parts)


def _source_hash() -> str:
    digest = hashlib.sha256()
    files = (path for path in (_ROOT / "siamese_core").rglob("*") if path.suffix == ".py" or path.suffix in ASSETS)
    for path in sorted(files):
        digest.update(path.relative_to(_ROOT).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def _commit() -> str | None:
    command = ["git", "-C", str(_ROOT), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
