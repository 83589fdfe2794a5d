"""The pipelines, one a file: wiring only."""

from integrations import quiet_libraries  # noqa: F401  (before ZenML and MLflow are imported)
