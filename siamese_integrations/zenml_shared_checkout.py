"""Two ZenML processes in one checkout: each rewrites `.zen/config.yaml` in place when it starts.

A run that is at work reloads the file when it has changed, and would end with an AttributeError if it read it between
the emptying and the writing, though the newcomer may only be there to be declined.
"""

import time
from pathlib import Path

from zenml.utils.filesync_model import FileSyncModel

_TRIES, _SECONDS = 100, 0.02
_load_config = FileSyncModel.load_config


def read_whole_files_only() -> None:
    """Make ZenML wait until a configuration file of its own is not empty; safe to call more than once."""
    FileSyncModel.load_config = _load_when_written


def _load_when_written(model: FileSyncModel) -> None:
    path = Path(model._config_file)
    for _ in range(_TRIES):
        if not path.exists() or path.stat().st_size:
            break
        time.sleep(_SECONDS)
    _load_config(model)
