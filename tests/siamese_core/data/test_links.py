"""Links: real folders keep their names, and what lies outside is read only when the user says so."""

import os
from pathlib import Path

import pytest

from siamese_core.config import DataConfig, ImageConfig
from siamese_core.data.ingest import image_files, ingest
from siamese_core.data.manifest import Manifest
from siamese_core.errors import DataError
from siamese_integrations.previous_ingest import provenance
from tests.siamese_core.data.test_ignored import image, write

FOLLOW = DataConfig(follow_links=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "images", {f"{name}/{i}.png": image(i) for name in ("mia", "zoe") for i in range(2)})
    write(tmp_path / "outside", {"secret/0.png": image(9), "secret/1.png": image(8)})
    return tmp_path / "images"


def manifest_of(folder: Path, data: DataConfig | None = None) -> Manifest:
    (folder.parent / "store").mkdir(exist_ok=True)
    return ingest(folder, folder.parent / "store", ImageConfig(size=16), data=data).manifest


def reasons(manifest: Manifest, status: str) -> dict[str, str]:
    rows = manifest.table[manifest.table["status"] == status]
    return dict(zip(rows["path"], rows["reason"], strict=True))


@pytest.mark.parametrize("alias", ["alias", "zz", "mia/alias"])
@pytest.mark.parametrize("relative", [True, False])
@pytest.mark.parametrize("data", [None, FOLLOW])
def test_an_alias_never_takes_the_name_of_its_folder(
    folder: Path, alias: str, relative: bool, data: DataConfig | None
) -> None:
    clean = manifest_of(folder).ok
    target = folder / "zoe"
    place = folder / alias
    place.symlink_to(os.path.relpath(target, place.parent) if relative else target)
    manifest = manifest_of(folder, data)
    assert manifest.ok.equals(clean)
    assert reasons(manifest, "ignored") == {alias: "a link to the folder zoe, which is read under another name"}
    assert manifest.quarantined.empty
    assert [file.relative_to(folder).as_posix() for file in image_files(folder)] == clean["path"].tolist()


def test_a_loop_is_listed_once(folder: Path) -> None:
    (folder / "zoe" / "up").symlink_to(folder)
    (folder / "zoe" / "self").symlink_to(folder / "zoe")
    manifest = manifest_of(folder)
    assert len(manifest.ok) == 4
    assert set(reasons(manifest, "ignored")) == {"zoe/up", "zoe/self"}


def test_what_lies_outside_is_named_and_read_only_if_asked(folder: Path) -> None:
    outside = folder.parent / "outside" / "secret"
    (folder / "eve").symlink_to(outside)
    (folder / "zoe" / "9.png").symlink_to(outside / "0.png")
    (folder / "zoe" / "8.png").symlink_to("../../outside/secret/1.png")
    refused = reasons(manifest_of(folder), "quarantined")
    assert set(refused) == {"eve", "zoe/9.png", "zoe/8.png"}
    for path, target in (("eve", outside), ("zoe/9.png", outside / "0.png"), ("zoe/8.png", outside / "1.png")):
        assert refused[path] == f"a link out of data_dir, to {target}; data.follow_links: true reads it"
    manifest = manifest_of(folder, FOLLOW)
    assert manifest.quarantined.empty
    assert manifest.ok["path"].tolist()[:2] == ["eve/0.png", "eve/1.png"]
    assert (manifest.ok["identity"] == "zoe").sum() == 4


def test_two_links_to_one_place_outside_give_one_identity(folder: Path) -> None:
    for name in ("eve", "eva"):
        (folder / name).symlink_to(folder.parent / "outside" / "secret")
    manifest = manifest_of(folder, FOLLOW)
    assert set(manifest.ok["identity"]) == {"eva", "mia", "zoe"}
    assert list(reasons(manifest, "ignored")) == ["eve"]


def test_links_to_files_inside_and_into_a_hidden_store_are_read(folder: Path) -> None:
    (folder / "zoe" / "2.png").symlink_to("../mia/0.png")
    write(folder, {".store/abc/0.png": image(5)})
    (folder / "ann").symlink_to(".store/abc")
    manifest = manifest_of(folder)
    assert manifest.quarantined.empty
    assert {"ann/0.png", "zoe/2.png"} <= set(manifest.ok["path"])
    assert reasons(manifest, "ignored") == {".store/abc/0.png": "hidden (.*)"}


def test_a_folder_of_links_out_of_it_says_how_it_is_read(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "farm" / "ann").mkdir(parents=True)
    (tmp_path / "farm" / "ann" / "0.png").symlink_to(folder / "zoe" / "0.png")
    with pytest.raises(DataError, match=r"ann/0\.png: a link out of data_dir.*data\.follow_links: true reads it"):
        manifest_of(tmp_path / "farm")


def test_a_linked_data_dir_is_a_data_dir(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    assert manifest_of(tmp_path / "link").table.equals(manifest_of(folder).table)


def test_an_earlier_ingest_that_followed_is_not_taken_over() -> None:
    plain, same, followed = (
        provenance(Path("/x"), ImageConfig(), data) for data in (DataConfig(), DataConfig(identity="leaf"), FOLLOW)
    )
    assert plain == same != followed
