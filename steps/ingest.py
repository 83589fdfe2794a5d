"""Ingest: from a folder tree to the image manifest and the image store."""

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

from zenml import step

from siamese_core.config import ImageConfig
from siamese_core.ingest import ingest as read_images
from siamese_core.manifest import Manifest
from siamese_core.store import ImageStore


# Never cached: only a look at the folder tells whether it has changed. The steps after it are cached by content.
@step(enable_cache=False)
def ingest(
    data_dir: str, images: ImageConfig
) -> tuple[Annotated[Manifest, "image_manifest"], Annotated[ImageStore, "image_store"]]:
    """Finds and reads every file below `data_dir`."""
    # The store is copied from here into the artifact store after this function has returned.
    folder = tempfile.mkdtemp(prefix="siamese-ingest-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    manifest, store = read_images(Path(data_dir).expanduser(), Path(folder), images)
    count = manifest.summary()
    print(
        f"{count['images']:,} images of {count['identities']:,} identities, {count['quarantined']:,} files quarantined"
    )
    return manifest, store
