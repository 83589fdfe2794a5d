"""The checkout's part of `siamese check-config`, which alone imports the pipelines. Prints one line of JSON.

`python -m infra.check_config FILE` checks a run configuration; `--schema` in place of FILE gives the JSON schema.
"""

import json
import sys
from pathlib import Path
from typing import Any

from infra.config_reference import current_schema
from pipelines.retraining import retraining_pipeline
from siamese_core.errors import ConfigError
from siamese_integrations.config_file import check_config


def answer(argument: str) -> dict[str, Any]:
    """Check a file, or describe all files that are good."""
    if argument == "--schema":
        return current_schema()
    try:
        # Its parameters are the training pipeline's, its steps those and one more.
        check_config(Path(argument), retraining_pipeline.entrypoint, retraining_pipeline.steps_by_name)
    except ConfigError as error:
        return {"ok": False, "error": str(error)}
    return {"ok": True}


if __name__ == "__main__":
    print(json.dumps(answer(sys.argv[1])))
