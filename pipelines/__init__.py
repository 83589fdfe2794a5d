"""The pipelines, one a file: wiring only."""

from siamese_integrations import quiet_libraries  # noqa: F401  (before ZenML and MLflow are imported)
