from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamese_core.config import SplitConfig
from siamese_core.data.manifest import COLUMNS, Manifest, make_table
from siamese_core.data.split import PARTS, Split, exact_parts, hashed_part, make_split
from siamese_core.errors import DataError

NAMES = st.lists(st.text("abcdef/", min_size=1, max_size=8), min_size=1, max_size=60, unique=True)


def manifest_of(sizes: dict[str, int]) -> Manifest:
    blank = dict.fromkeys(COLUMNS, "") | {name: 0 for name, kind in COLUMNS.items() if kind != "str"}
    rows = [
        blank | {"identity": name, "path": f"{name}/{i}.png", "status": "ok"}
        for name, n in sizes.items()
        for i in range(n)
    ]
    return Manifest(make_table(rows))


def many(count: int = 60) -> dict[str, int]:
    return {f"person{i}": 3 for i in range(count)}


@given(NAMES, NAMES)
def test_an_identity_keeps_its_part_when_others_come(old: list[str], new: list[str]) -> None:
    config = SplitConfig()
    before = {name: hashed_part(name, config) for name in old}
    after = {name: hashed_part(name, config) for name in {*old, *new}}
    assert all(after[name] == part for name, part in before.items())


def test_the_split_of_old_identities_is_the_same_in_a_larger_set() -> None:
    before = make_split(manifest_of(many(60)), SplitConfig()).table.set_index("identity")["split"]
    after = make_split(manifest_of(many(200)), SplitConfig()).table.set_index("identity")["split"]
    assert (after.loc[before.index] == before).all()


def test_the_shares_are_near_the_configured_ones_and_the_salt_matters() -> None:
    names = [f"n{i}" for i in range(20_000)]
    parts = np.array([hashed_part(name, SplitConfig(0.3, 0.1)) for name in names])
    assert np.mean(parts == "calibration") == pytest.approx(0.3, abs=0.02)
    assert np.mean(parts == "test") == pytest.approx(0.1, abs=0.02)
    other = np.array([hashed_part(name, SplitConfig(0.3, 0.1, "other")) for name in names])
    assert np.mean(parts == other) < 0.7


def test_parts_are_disjoint_and_complete() -> None:
    manifest = manifest_of(many())
    split = make_split(manifest, SplitConfig())
    rows = np.concatenate([split.rows(manifest, part) for part in PARTS])
    assert sorted(rows) == list(range(len(manifest.ok)))


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_the_file_wins_and_the_rest_follows_the_hash_but_never_joins_a_listed_test(tmp_path: Path) -> None:
    lines = [f"person{i},test" for i in range(5)] + ["person5,calibration"]
    path = write(tmp_path / "s.csv", "identity,split\n" + "\n".join(lines) + "\n")
    split = make_split(manifest_of(many()), SplitConfig(), path)
    assert split.identities("test") == [f"person{i}" for i in range(5)]
    assert "person5" in split.identities("calibration")
    assert len(split.identities("calibration")) > 5  # of the 54 that the file does not list
    without_test = write(tmp_path / "t.csv", "identity,split\nperson1,train\n")
    hashed = make_split(manifest_of(many()), SplitConfig(), without_test)
    assert len(hashed.identities("test")) > 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,part\na,test\n", "it needs identity,split"),
        ("identity,split\nperson1,testing\n", "line 2: split is 'testing'"),
        ("identity,split\nperson1,test\nperson1,train\n", "puts 'person1' into test and train"),
        ("identity,split\nnobody,test\n", "None of the 1 identities.*'nobody'"),
        ("", "cannot be read as CSV"),
    ],
)
def test_a_wrong_file_is_a_clear_error(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        make_split(manifest_of(many()), SplitConfig(), write(tmp_path / "s.csv", text))


def test_a_missing_file_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        make_split(manifest_of(many()), SplitConfig(), tmp_path / "nowhere.csv")


def test_too_few_identities_give_numbers_and_a_way_out_that_works() -> None:
    sizes = {f"p{i}": 3 for i in range(9)}
    # A salt that leaves test short.
    unlucky = next(s for s in "abcdefgh" if [hashed_part(n, SplitConfig(salt=s)) for n in sizes].count("test") < 2)
    with pytest.raises(DataError, match=r"needs 2.*9 identities in all.*split.balance: exact"):
        make_split(manifest_of(sizes), SplitConfig(salt=unlucky))
    exact = make_split(manifest_of(sizes), SplitConfig(salt=unlucky, balance="exact"))
    assert exact.summary() == {"train": 5, "calibration": 2, "test": 2}


@pytest.mark.parametrize("count", [6, 40, 97])
def test_exact_shares_are_exact(count: int) -> None:
    split = make_split(manifest_of(many(count) | {"alone": 1}), SplitConfig(balance="exact"))
    share = max(2, round(0.2 * count))
    assert split.summary() == {"train": count + 1 - 2 * share, "calibration": share, "test": share}


@given(st.integers(6, 80), st.text("ab", max_size=3))
def test_exact_parts_do_not_depend_on_the_order_and_follow_the_hash(count: int, salt: str) -> None:
    names, config = [f"n{i}" for i in range(count)], SplitConfig(salt=salt)
    parts = exact_parts(names, config)
    assert parts == exact_parts(names[::-1], config)
    # One identity more moves the border of test by one at most, and that of calibration by two.
    more = exact_parts([*names, "new"], config)
    assert sum(more[name] != part for name, part in parts.items()) <= 3


def test_exact_shares_are_of_the_identities_that_the_file_leaves_and_never_join_its_test(tmp_path: Path) -> None:
    path = write(tmp_path / "s.csv", "identity,split\nperson0,test\nperson1,test\n")
    split = make_split(manifest_of(many(42)), SplitConfig(balance="exact"), path)
    assert split.summary() == {"train": 32, "calibration": 8, "test": 2}


def test_singletons_do_not_fill_a_part() -> None:
    with pytest.raises(DataError, match="0 of them with at least 2 images"):
        make_split(manifest_of({f"p{i}": 1 for i in range(50)}), SplitConfig())


def test_it_round_trips(tmp_path: Path) -> None:
    split = make_split(manifest_of(many()), SplitConfig())
    split.save(tmp_path)
    assert Split.load(tmp_path).table.equals(split.table)


def test_a_short_listed_part_asks_for_the_file(tmp_path: Path, image_folder: Callable[[dict[str, int]], Path]) -> None:
    path = write(tmp_path / "s.csv", "identity,split\n" + "".join(f"person{i},train\n" for i in range(60)))
    with pytest.raises(DataError, match=r"calibration and test.*List more identities"):
        make_split(manifest_of(many()), SplitConfig(), path)
