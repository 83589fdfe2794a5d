"""The pipelines, one a file: wiring only."""

import logging

from siamese_integrations import quiet_libraries  # noqa: F401  (before ZenML and MLflow are imported)
from siamese_integrations.private_files import keep_files_private
from siamese_integrations.zenml_output import show_plainly

keep_files_private()
show_plainly()
# By the libraries that the pipelines import: five seconds without a word otherwise.
logging.getLogger("siamese_integrations").info("loading PyTorch and MLflow")
