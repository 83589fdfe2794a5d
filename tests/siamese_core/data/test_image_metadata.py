"""The metadata CSV: what is read, what is refused and in which words."""

from pathlib import Path

import numpy as np
import pytest

from siamese_core.data.image_metadata import Metadata, read_metadata
from siamese_core.data.manifest import COLUMNS, Manifest, make_table
from siamese_core.errors import DataError
from siamese_core.evaluation.image_groups import metadata_groups


@pytest.fixture
def manifest() -> Manifest:
    def row(path: str, status: str) -> dict[str, object]:
        numbers = dict.fromkeys((name for name, kind in COLUMNS.items() if kind != "str"), 1)
        return {"path": path, "identity": path.rpartition("/")[0], "status": status} | numbers

    names = [f"people/{name}/{number}.jpg" for name in ("ada", "bob", "grace") for number in (1, 2, 3, 4, 5)]
    return Manifest(make_table([*(row(name, "ok") for name in names), row("people/bob/broken.jpg", "quarantined")]))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "about.csv"


def read(file: Path, text: str | bytes, manifest: Manifest, rows: list[int] | None = None) -> Metadata:
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_metadata(file, manifest, np.array(rows or range(15)))


def test_identities_and_paths_get_their_values(file: Path, manifest: Manifest) -> None:
    text = '\ufeffidentity, sex ,team\n/people/ada/,f,"blue, light"\npeople/bob,m,\n\n,,\npeople/grace,f,NA\n'
    assert read(file, text, manifest, [0, 5, 14]) == Metadata(
        "identity", {"sex": ["f", "m", "f"], "team": ["blue, light", "", ""]}
    )
    text = "identity,camera,path\nwrong,phone,./people/ada/2.jpg\nwrong,phone,people/bob/broken.jpg\n"
    assert read(file, text, manifest, [0, 1]) == Metadata("path", {"camera": ["", "phone"]})


def test_a_row_that_repeats_is_no_trouble(file: Path, manifest: Manifest) -> None:
    rows = "".join(f"people/{name},x\n" for name in ("ada", "bob", "grace"))
    assert read(file, f"identity,camera\n{rows * 3}", manifest).columns == {"camera": ["x"] * 15}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "about.csv is empty or starts with an empty line. The first line must name path or identity"),
        ("path,camera\n", "has a header but no rows"),
        ("path\npeople/ada/1.jpg\n", "line 1: there is no column but path"),
        ("Path,camera\nx,y\n", "line 1: there is no column path or identity (did you mean 'path' by 'Path'?)"),
        ("path;camera\nx;y\n", "(separated by semicolons? Use commas)"),
        ("file,camera\nx,y\n", "there is no column path or identity, only file, camera"),
        ("path,,camera\n", "line 1: column 2 has no name"),
        ("path,camera,camera\n", "line 1: the column 'camera' comes twice"),
        ("path," + ",".join(f"c{i}" for i in range(60)), "61 columns; keep the 50 that matter most"),
        ("identity,age\npeople/ada,3\npeople/bob\n", "line 3: 1 cells where the header names 2"),
        ("identity,age\npeople/ada,3\n,4\n", "line 3: identity is empty; fill it or remove the row"),
        (
            "identity,age\npeople/ada,3\n\npeople/bbo,4\npeople/grcae,5\n",
            "line 4: identity 'people/bbo' is not an identity below data_dir (did you mean 'people/bob'?); "
            "correct or remove the row. The same holds for line 5.",
        ),
        ("path,age\n/home/x/1.jpg,3\n", "line 2: path '/home/x/1.jpg' is not a file below data_dir (such as 'people/"),
        (
            "identity,age\npeople/ada,3\npeople/bob,4\npeople/ada,5\n",
            "line 4: age of 'people/ada' is '5', but '3' in line 2; keep one",
        ),
        ("identity,age\npeople/ada,3\npeople/ada,\n", "line 3: age of 'people/ada' is 'empty', but '3' in line 2"),
        ("path,age\npeople/bob/broken.jpg,3\n", "lists no test image, such as 'people/ada/1.jpg'"),
        (b"path,age\npeople/ad\xe4/1.jpg,3\n", "is not UTF-8 text"),
        ('path,age\n"' + "x" * 200_000, "cannot be read as CSV: field larger than"),
    ],
)
def test_a_wrong_file_is_refused_with_the_way_out(
    file: Path, manifest: Manifest, text: str | bytes, message: str
) -> None:
    with pytest.raises(DataError) as error:
        read(file, text, manifest)
    assert message in str(error.value)
    assert "about.csv" in str(error.value)


def test_a_typo_among_numbers_is_refused(file: Path, manifest: Manifest) -> None:
    rows = [f"{path},{20 + i}" for i, path in enumerate(manifest.ok["path"])]
    rows[7] = rows[7].replace(",27", ",2l")
    with pytest.raises(DataError, match=r"line 9: age is '2l', but a number nearly everywhere else"):
        read(file, "\n".join(["path,age", *rows]), manifest)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path, manifest: Manifest) -> None:
    with pytest.raises(DataError, match=r"evaluation\.metadata .*none\.csv cannot be read: No such file"):
        read_metadata(tmp_path / "none.csv", manifest, np.arange(3))
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        read_metadata(tmp_path, manifest, np.arange(3))


def test_a_huge_file_of_strangers_is_left_at_once(file: Path, manifest: Manifest) -> None:
    """Nothing is kept of rows that are not about known images; the fifth stranger ends the reading."""
    text = "path,age\n" + "".join(f"people/ada/{i}.jpg,3\n" for i in range(6, 100_000))
    with pytest.raises(DataError, match=r"line 2: path 'people/ada/6\.jpg'.* The same holds for lines 3, 4, 5, 6\."):
        read(file, text, manifest)


def groups_of(values: list[str]) -> dict[str, int]:
    (found,) = metadata_groups(Metadata("path", {"column": values}))
    assert len(found.codes) == len(values)
    return {name: int((found.codes == code).sum()) for code, name in enumerate(found.names)}


def test_texts_are_groups_and_the_missing_are_unknown() -> None:
    assert groups_of(["b", "a", "", "b"]) == {"a": 1, "b": 2, "unknown": 1}


def test_few_numbers_are_groups_in_their_order() -> None:
    assert list(groups_of(["10", "9", "8.5", "", "10"])) == ["8.5", "9", "10", "unknown"]


def test_many_numbers_are_thirds() -> None:
    assert groups_of([*map(str, range(30)), ""]) == {
        "up to 9": 10,
        "above 9, up to 19": 10,
        "above 19": 10,
        "unknown": 1,
    }


def test_many_equal_numbers_make_fewer_groups_and_none_is_empty() -> None:
    assert groups_of(["0"] * 50 + [str(i) for i in range(10)]) == {"up to 0": 51, "above 0": 9}
    assert groups_of(["99"] * 50 + [str(i) for i in range(10)]) == {"all equal": 60}


def test_the_largest_groups_are_kept_and_the_rest_are_other() -> None:
    found = groups_of([f"g{i:02}" for i in range(20) for _ in range(i + 1)] + [""] * 50)
    assert found == {f"g{i:02}": i + 1 for i in range(8, 20)} | {"other": sum(range(1, 9)), "unknown": 50}
