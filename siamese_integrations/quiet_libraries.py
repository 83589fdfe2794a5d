"""Settings of the libraries below us: no reports about users, and no messages that they cannot use.

Import before ZenML, MLflow and Great Expectations.
"""

import logging
import os

for _name, _value in {
    "ZENML_ANALYTICS_OPT_IN": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",  # where MLflow is imported later; below, where it was imported before
}.items():
    os.environ.setdefault(_name, _value)

# Great Expectations lists what it registers, matplotlib that it looks for fonts, MLflow each table that it makes.
for _name in ("great_expectations", "matplotlib", "mlflow"):
    logging.getLogger(_name).setLevel(logging.WARNING)
# It logs with a traceback what it raises as well.
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
