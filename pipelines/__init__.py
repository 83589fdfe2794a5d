"""The pipelines, one a file: wiring only."""

from siamese_integrations import quiet_libraries  # noqa: F401  (before ZenML and MLflow are imported)
from siamese_integrations.private_files import keep_files_private

keep_files_private()
