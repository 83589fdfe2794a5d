"""Settings of the libraries below us: nothing is reported about users, and nothing is said that they cannot use.

Import before ZenML, MLflow and Great Expectations.
"""

import logging
import os

for _name, _value in {
    "ZENML_ANALYTICS_OPT_IN": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "true",
    # MLflow announces each table that it makes.
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}.items():
    os.environ.setdefault(_name, _value)

# Great Expectations lists what it registers, matplotlib that it looks for fonts.
for _name in ("great_expectations", "matplotlib"):
    logging.getLogger(_name).setLevel(logging.WARNING)
