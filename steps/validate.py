"""Validate: Great Expectations on the manifest; an error-level failure stops the run."""

import logging
from typing import Annotated, Any

from zenml import save_artifact, step
from zenml.types import HTMLString

from siamese_core.config import DataConfig, ValidationConfig
from siamese_core.data.data_checks import describe, failures, report_json
from siamese_core.data.manifest import Manifest
from siamese_core.data.store import ImageStore
from siamese_core.errors import DataError
from siamese_core.report.data_page import data_page
from siamese_integrations.great_expectations_suite import run_checks
from siamese_integrations.zenml_cache import depends_on_code

logger = logging.getLogger(__name__)


@step(cache_policy=depends_on_code(__file__))
def validate(
    manifest: Manifest, store: ImageStore, validation: ValidationConfig, data: DataConfig
) -> tuple[Annotated[dict[str, Any], "data_report"], Annotated[HTMLString, "data_report_page"]]:
    """Check the data and write the data report."""
    checks, raw = run_checks(manifest, validation, data, store.config.white_level)
    report, page = report_json(checks, manifest, raw), HTMLString(data_page(checks, manifest, store))
    for check in failures(checks, "warning"):
        logger.warning(f"warning: {describe(check).strip(' -')}")
    if errors := failures(checks, "error"):
        # The outputs of a failed step are not stored, and a failed check is when the report is read.
        save_artifact(report, "data_report")
        save_artifact(page, "data_report_page")
        descriptions = "\n".join(map(describe, errors))
        raise DataError(f"The data failed {len(errors)} of {len(checks)} checks:\n{descriptions}")
    return report, page
