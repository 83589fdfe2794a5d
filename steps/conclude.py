"""Conclude: the outcome of a retraining run, in words."""

import logging
from typing import Annotated

from zenml import get_step_context, log_metadata, step

from siamese_core.data.manifest import Manifest
from siamese_integrations.mlflow_registry import promotion_of

logger = logging.getLogger(__name__)


# Never cached: it tells of this run.
@step(enable_cache=False, experiment_tracker=True)
def conclude(version: str, manifest: Manifest, model_name: str) -> Annotated[str, "conclusion"]:
    """Say whether anything was trained, and what became of it."""
    context = get_step_context()
    made_now = context.inputs["version"][0].producer_pipeline_run_id == context.pipeline_run.id
    images = manifest.summary()["images"]
    if made_now:
        words = f"{model_name} version {version}, from {images:,} images: {promotion_of(model_name, version)}"
    else:
        words = f"nothing has changed since {model_name} version {version} ({images:,} images): nothing was trained"
    log_metadata({"conclusion": words})
    logger.info(words)
    return words
