"""Temporary folders: there while their process lives, gone with the next run when it was killed."""

import subprocess
import sys
from pathlib import Path

from siamese_integrations.scratch import guard, remove_leftovers, scratch_folder

MAKE = """
import sys
from pathlib import Path
from siamese_integrations.scratch import guard, scratch_folder
folder = scratch_folder(Path(sys.argv[1]))
(folder / "images.u8").write_bytes(b"faces")
print(folder, flush=True)
sys.stdin.read()
"""


def start(parent: Path) -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen(
        [sys.executable, "-c", MAKE, str(parent)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    return process, Path(process.stdout.readline().strip())


def test_a_folder_goes_with_its_process(tmp_path: Path) -> None:
    process, folder = start(tmp_path)
    assert (folder / "images.u8").is_file()
    process.communicate()
    assert not folder.exists()


def test_only_the_folders_of_killed_processes_are_removed(tmp_path: Path) -> None:
    killed, leftover = start(tmp_path)
    living, folder = start(tmp_path)
    (tmp_path / "stranger").mkdir()
    ours = scratch_folder(tmp_path)
    killed.kill()
    killed.wait()
    assert (leftover / "images.u8").is_file()
    assert remove_leftovers(tmp_path) == 1
    assert sorted(tmp_path.iterdir()) == sorted([folder, ours, tmp_path / "stranger"])
    living.communicate()
    assert remove_leftovers(tmp_path) == 0


def test_a_link_to_a_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "data").mkdir(parents=True)
    (tmp_path / "elsewhere" / "data" / "siamese.lock").touch()
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "link").symlink_to(tmp_path / "elsewhere" / "data")
    assert remove_leftovers(tmp_path / "here") == 0
    assert (tmp_path / "elsewhere" / "data").is_dir()


def test_a_guarded_folder_is_in_use(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    guard(tmp_path / "folder")
    assert remove_leftovers(tmp_path) == 0
    assert remove_leftovers(tmp_path / "nowhere") == 0
