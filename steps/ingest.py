"""Ingest: from a folder tree to the image manifest and the image store."""

import logging
import os
from pathlib import Path
from tempfile import gettempdir
from typing import Annotated

from zenml import log_metadata, step
from zenml.client import Client

from siamese_core.config import DataConfig, ImageConfig
from siamese_core.data.ingest import IngestIndex
from siamese_core.data.ingest import ingest as read_images
from siamese_core.data.manifest import Manifest
from siamese_core.data.store import ImageStore
from siamese_integrations.previous_ingest import PROVENANCE, find_previous, provenance
from siamese_integrations.scratch import remove_leftovers, scratch_folder
from siamese_integrations.zenml_stack import scratch_of

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
    # The store is linked or copied from here into the artifact store after this function has returned.
    scratch = scratch_of(Client().active_stack.artifact_store)
    if leftovers := sum(map(remove_leftovers, {scratch, Path(gettempdir())})):
        logger.info(f"removed {leftovers} temporary folders of runs that were killed")
    source = Path(os.path.realpath(os.path.expanduser(data_dir)))  # never raises, unlike pathlib's
    origin = provenance(source, images, data)
    result = read_images(source, scratch_folder(scratch), images, previous=find_previous(origin), data=data)
    log_metadata({PROVENANCE: origin}, artifact_name="ingest_index", infer_artifact=True)
    count = result.manifest.summary()
    logger.info(
        f"{count['images']:,} images of {count['identities']:,} identities, "
        f"{count['quarantined']:,} files quarantined, {count['ignored']:,} ignored"
    )
    if result.reused:
        logger.info(f"{result.reused:,} files have not changed and were not read again")
    return result.manifest, result.store, result.index
