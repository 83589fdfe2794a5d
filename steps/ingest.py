"""Ingest: from a folder tree to the image manifest and the image store."""

import atexit
import logging
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

from zenml import log_metadata, step

from siamese_core.config import DataConfig, ImageConfig
from siamese_core.data.ingest import IngestIndex
from siamese_core.data.ingest import ingest as read_images
from siamese_core.data.manifest import Manifest
from siamese_core.data.store import ImageStore
from siamese_integrations.previous_ingest import PROVENANCE, find_previous, provenance

logger = logging.getLogger(__name__)


# Never cached: only a look at the folder tells whether it has changed. The steps after it are cached by content.
@step(enable_cache=False)
def ingest(
    data_dir: str, images: ImageConfig, data: DataConfig
) -> tuple[
    Annotated[Manifest, "image_manifest"],
    Annotated[ImageStore, "image_store"],
    Annotated[IngestIndex, "ingest_index"],
]:
    """Find every file below `data_dir` and read those that the last ingest has not read."""
    # The store is copied from here into the artifact store after this function has returned.
    folder = tempfile.mkdtemp(prefix="siamese-ingest-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    source = Path(data_dir).expanduser().resolve()
    origin = provenance(source, images, data)
    result = read_images(source, Path(folder), images, previous=find_previous(origin), data=data)
    log_metadata({PROVENANCE: origin}, artifact_name="ingest_index", infer_artifact=True)
    count = result.manifest.summary()
    logger.info(
        f"{count['images']:,} images of {count['identities']:,} identities, "
        f"{count['quarantined']:,} files quarantined, {count['ignored']:,} ignored"
    )
    if result.reused:
        logger.info(f"{result.reused:,} files have not changed and were not read again")
    return result.manifest, result.store, result.index
