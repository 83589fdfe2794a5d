"""The steps of the pipelines, one a file: each reads artifacts, calls siamese_core, and returns artifacts."""

from siamese_integrations import quiet_libraries, zenml_materializer  # noqa: F401  (ZenML learns how to store our artifacts)
from siamese_integrations.private_files import keep_files_private

keep_files_private()  # here, because a step of its own process or pod imports its package first
