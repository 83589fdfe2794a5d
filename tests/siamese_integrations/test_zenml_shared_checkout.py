"""A run at work survives the start of another one in its checkout."""

import threading
import time
from pathlib import Path

from zenml.utils.filesync_model import FileSyncModel

from siamese_integrations.zenml_shared_checkout import read_whole_files_only


class Settings(FileSyncModel):
    name: str = "before"


def test_an_emptied_file_is_waited_for(tmp_path: Path) -> None:
    read_whole_files_only()
    path = tmp_path / "config.yaml"
    settings = Settings(config_file=str(path))  # type: ignore[call-arg]
    assert settings.name == "before"
    path.write_text("")  # what the other process does first
    writer = threading.Timer(0.2, path.write_text, ["name: after\n"])
    writer.start()
    time.sleep(0.01)
    assert settings.name == "after"
    writer.join()
