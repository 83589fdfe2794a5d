"""The last ingest of the same folder, so that only new and changed files are read."""

import hashlib
import json
import logging
from dataclasses import asdict
from inspect import getfile
from pathlib import Path

from zenml.client import Client
from zenml.enums import ExecutionStatus
from zenml.models import StepRunResponse

from siamese_core.config import DataConfig, ImageConfig
from siamese_core.data.ingest import Ingested
from siamese_core.errors import SiameseError
from siamese_integrations.zenml_cache import reachable

logger = logging.getLogger(__name__)

PROVENANCE = "provenance"
_SEARCHED = 50


def provenance(data_dir: Path, config: ImageConfig, data: DataConfig) -> str:
    """Hash the folder, configuration and code that two ingests must share for one to use the other's images.

    Identities are named anew by each: their rule and the merge file need not be the same.
    """
    digest = hashlib.sha256(json.dumps([str(data_dir), asdict(config), data.follow_links]).encode())
    for path in reachable(Path(getfile(Ingested))):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def find_previous(origin: str) -> Ingested | None:
    """Load the newest complete ingest with this provenance, or None."""
    steps = Client().list_run_steps(
        name="ingest", status=ExecutionStatus.COMPLETED, sort_by="desc:created", size=_SEARCHED, hydrate=True
    )
    last = next((step for step in steps.items if _origin(step) == origin), None)
    try:
        return _load(last) if last else None
    # Its files were removed from the artifact store, or another version wrote them: its classes or formats are gone.
    except (OSError, ImportError, SiameseError) as error:
        logger.warning(f"the last ingest cannot be read ({error}): reading every file again")
        return None


def _origin(step: StepRunResponse) -> str | None:
    versions = step.outputs.get("ingest_index")
    return str(versions[0].run_metadata.get(PROVENANCE)) if versions else None


def _load(step: StepRunResponse) -> Ingested:
    manifest, store, index = (
        step.outputs[name][0].load() for name in ("image_manifest", "image_store", "ingest_index")
    )
    return Ingested(manifest, store, index)
