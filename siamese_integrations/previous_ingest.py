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
from siamese_core.errors import first_line
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
    """Load the newest complete ingest with this provenance; None if there is none or anything is wrong with it."""
    try:
        last = next((step for step in _completed() if _origin(step) == origin), None)
        return _load(last) if last else None
    # Its files are damaged or gone, another version wrote them, a disk or a server fails: many types, and one way out.
    except Exception as error:
        logger.warning(f"the last ingest cannot be read ({first_line(error)}): reading every file again")
        return None


def _completed() -> list[StepRunResponse]:
    """The latest ingests, newest first."""
    return (
        Client()
        .list_run_steps(
            name="ingest", status=ExecutionStatus.COMPLETED, sort_by="desc:created", size=_SEARCHED, hydrate=True
        )
        .items
    )


def _origin(step: StepRunResponse) -> str | None:
    versions = step.outputs.get("ingest_index")
    return str(versions[0].run_metadata.get(PROVENANCE)) if versions else None


def _load(step: StepRunResponse) -> Ingested:
    manifest, store, index = (
        step.outputs[name][0].load() for name in ("image_manifest", "image_store", "ingest_index")
    )
    previous = Ingested(manifest, store, index)
    previous.check()
    return previous
