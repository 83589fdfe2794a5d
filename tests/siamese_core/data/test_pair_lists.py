"""Files of pairs: what was written is read, and what is wrong is named."""

import csv
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from siamese_core.data.pair_lists import PairList, read_pairs
from siamese_core.errors import DataError, ModelError

IMAGES = ["ann/1.png", "ann/2, at sea.png", "bob/ü.png", 'bob/"b".png', "c d/e f.png"]
PAIRS = [(a, b) for a in range(len(IMAGES)) for b in range(a)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Image files; the reader does not open them."""
    folder = tmp_path_factory.mktemp("images")
    lfw = [
        f"{part}/{name}/{name}_{i:04d}.jpg" for part, name in (("train", "Al_Bo"), ("test", "Cy")) for i in (1, 2, 12)
    ]
    for path in [*IMAGES, *lfw]:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()
    return folder


@pytest.fixture
def read(root: Path, tmp_path: Path) -> Callable[[str], PairList]:
    def write_and_read(text: str) -> PairList:
        (tmp_path / "pairs.txt").write_text(text, encoding="utf-8")
        return read_pairs(tmp_path / "pairs.txt", root)

    return write_and_read


def as_rows(listed: PairList) -> list[tuple[str, str, bool]]:
    named = [(listed.images[a], listed.images[b]) for a, b in listed.pairs]
    return [(a, b, bool(same)) for (a, b), same in zip(named, listed.same, strict=True)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    chosen=st.lists(st.sampled_from(PAIRS), unique=True, min_size=4),
    order=st.permutations(["path_a", "path_b", "same", "fold"]),
    spelling=st.sampled_from([("1", "0"), ("true", "false"), ("True", " FALSE ")]),
    has_folds=st.booleans(),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_a_csv_is_read_as_it_was_written(
    root: Path, tmp_path: Path, chosen: list[tuple[int, int]], order: list[str], spelling: tuple[str, str],
    has_folds: bool, end: str,
) -> None:  # fmt: skip
    rows = [
        {"path_a": IMAGES[a], "path_b": IMAGES[b], "same": spelling[i % 2], "fold": str(i // 2 % 2)}
        for i, (a, b) in enumerate(chosen)
    ]
    columns = [name for name in order if has_folds or name != "fold"]
    with (tmp_path / "pairs.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator=end)
        writer.writeheader()
        writer.writerows(rows)
    listed = read_pairs(tmp_path / "pairs.csv", root)
    assert as_rows(listed) == [(row["path_a"], row["path_b"], i % 2 == 0) for i, row in enumerate(rows)]
    assert (None if listed.folds is None else listed.folds.tolist()) == (
        [i // 2 % 2 for i in range(len(rows))] if has_folds else None
    )
    assert len(set(listed.images)) == len(listed.images)
    assert listed.duplicates == 0


LFW_SAME = ["Al_Bo\t1\t2", "Cy\t1\t2", "Cy\t2\t12"]
LFW_DIFFERENT = ["Al_Bo\t1\tCy\t1", "Cy\t12\tAl_Bo\t12", "Al_Bo\t2\tCy\t2"]


def test_both_views_of_lfw_are_read_and_names_are_found_below_the_root(read: Callable[[str], PairList]) -> None:
    view_1 = read("\n".join(["2", *LFW_SAME[:2], *LFW_DIFFERENT[:2], ""]))
    assert as_rows(view_1) == [
        ("train/Al_Bo/Al_Bo_0001.jpg", "train/Al_Bo/Al_Bo_0002.jpg", True),
        ("test/Cy/Cy_0001.jpg", "test/Cy/Cy_0002.jpg", True),
        ("train/Al_Bo/Al_Bo_0001.jpg", "test/Cy/Cy_0001.jpg", False),
        ("test/Cy/Cy_0012.jpg", "train/Al_Bo/Al_Bo_0012.jpg", False),
    ]
    assert view_1.folds is None
    lines = [line for pair in zip(LFW_SAME, LFW_DIFFERENT, strict=True) for line in pair]
    view_2 = read("\n".join(["3\t1", *lines]))
    assert view_2.folds is not None
    assert view_2.folds.tolist() == [0, 0, 1, 1, 2, 2]
    assert view_2.same.tolist() == [True, False] * 3
    assert as_rows(read("3 1\n" + "\n".join(lines).replace("\t", "  "))) == as_rows(view_2)  # spaces do as well


HEADER = "path_a,path_b,same\n"
GOOD = "ann/1.png,bob/ü.png,0\nann/1.png,c d/e f.png,1\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty.*first line must be path_a,path_b,same"),
        ("a,b,label\nx,y,1\n", "line 1: the header is 'a,b,label'.*must be path_a,path_b,same"),
        ("path_a,path_b,same,folds\nx,y,1,2\n", "line 1.*'path_a,path_b,same,folds'"),
        (GOOD, "line 1: the header is 'ann/1.png,bob/ü.png,0'"),
        (HEADER, "a header but no pairs"),
        (HEADER + GOOD + "ann/1.png,bob/ü.png,maybe\n", "line 4: same is 'maybe', but must be 1, 0, true or false"),
        (HEADER + "\n" + GOOD + "ann/1.png,1\n", "line 5: 2 cells where the header names 3"),
        (HEADER + GOOD + "ann/2, at sea.png,ann/1.png,1\n", "line 4: 4 cells.*quote a path that has a comma"),
        (HEADER + GOOD + "ann/1.png,./ann/1.png,1\n", "line 4: compares 'ann/1.png' with itself"),
        (HEADER + "ann/1.png,c d/e f.png,1\n", r"only same pairs \(1\); add different"),
        (HEADER + "ann/1.png,c d/e f.png,false\n", r"only different pairs \(1\); add same"),
        (HEADER + GOOD + "bob/ü.png,ann/1.png,1\n", "'ann/1.png' and 'bob/ü.png' as same and as diff"),
        (HEADER + GOOD + "ann/3.png,nobody/x.png,1\n", r"2 of the 5 .*ann/3.png \(line 4, no such file\).*folder"),
        (HEADER + GOOD + '"' + "x" * 200_000 + '",b,1\n', "cannot be read as CSV: field larger"),
        ("0\n", "promises no pairs"),
        ("1\nAl_Bo 1 2\n", "has 1 pairs, but its first line promises 1 × 2: 1 of each kind."),
        ("1\nAl_Bo 1 2\nAl_Bo 1 Cy 1\nCy 1 2\n", "has 3 pairs"),
        ("2\t1\nAl_Bo 1 2\nAl_Bo 1 Cy 1\n", "has 2 pairs.* 1 of each kind in each of 2 folds"),
        ("1\nAl_Bo 1 Cy 1\nCy 1 2\n", r"line 2: 'Al_Bo 1 Cy 1' where NAME i j \(same\) is expected"),
        ("1\nCy 1 2\nCy 1 12\n", r"line 3: 'Cy 1 12' where NAME1 i NAME2 j \(different\) is expected"),
        ("1\nCy 1 x\nCy 1 Al_Bo 1\n", "line 2: 'Cy 1 x'"),
        ("1\nCy 1 2\nCy 1 Dee 1\n", r"Dee/Dee_0001.jpg \(line 3, no such folder\)"),
        ("1\nCy 1 1\nCy 1 Al_Bo 1\n", "line 2: compares"),
        ("1 1\nCy 1 2\nCy 1 Al_Bo 1\n", "only one fold"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(read: Callable[[str], PairList], text: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(text)
    assert "pairs.txt" in str(caught.value)


@pytest.mark.parametrize("fold", ["", "x", "1.5", "-1", str(2**31)])
def test_a_bad_fold_is_named(read: Callable[[str], PairList], fold: str) -> None:
    text = f"path_a,path_b,same,fold\nann/1.png,bob/ü.png,0,1\nann/1.png,c d/e f.png,1,{fold}\n"
    with pytest.raises(DataError, match=f"line 3: fold is '{fold}', but must be a whole number"):
        read(text)


def test_a_fold_needs_both_kinds(read: Callable[[str], PairList]) -> None:
    with pytest.raises(DataError, match="fold 1 has only different pairs"):
        read("path_a,path_b,same,fold\nann/1.png,bob/ü.png,0,1\nann/1.png,c d/e f.png,1,2\n")


def test_missing_images_are_counted_and_five_are_shown(read: Callable[[str], PairList]) -> None:
    rows = "".join(f"ann/1.png,gone/{i}.png,{i % 2}\n" for i in range(9))
    with pytest.raises(DataError, match=r"^9 of the 10 images") as caught:
        read(HEADER + rows)
    message = str(caught.value)
    assert "gone/4.png (line 6" in message
    assert "gone/5.png" not in message
    assert "--images" in message


def test_repeated_rows_count_once_in_either_order(read: Callable[[str], PairList]) -> None:
    listed = read(HEADER + GOOD + "bob/ü.png,ann/1.png,0\n" + GOOD)
    assert as_rows(listed) == [("ann/1.png", "bob/ü.png", False), ("ann/1.png", "c d/e f.png", True)]
    assert listed.duplicates == 3


def test_a_name_in_two_folders_is_refused(tmp_path: Path) -> None:
    for part in ("a", "b"):
        (tmp_path / part / "Cy").mkdir(parents=True)
    (tmp_path / "pairs.txt").write_text("1\nCy\t1\t2\nCy\t1\tAl\t1\n")
    with pytest.raises(DataError, match="Cy has several folders: a/Cy, b/Cy"):
        read_pairs(tmp_path / "pairs.txt", tmp_path)


def test_files_that_are_no_text_are_refused(tmp_path: Path, root: Path) -> None:
    (tmp_path / "pairs.csv").write_bytes(b"path_a,path_b,same\n\xff\xfe,b,1\n")
    with pytest.raises(DataError, match="not UTF-8"):
        read_pairs(tmp_path / "pairs.csv", root)
    with pytest.raises(DataError, match=r"nowhere.csv cannot be read: No such file"):
        read_pairs(tmp_path / "nowhere.csv", root)
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        read_pairs(tmp_path, root)


def test_the_byte_order_mark_of_spreadsheets_is_no_part_of_the_header(read: Callable[[str], PairList]) -> None:
    assert len(read("\ufeff" + HEADER + GOOD).same) == 2


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", " , ", "; "])
@pytest.mark.parametrize(
    "names",
    [
        ("path_a", "path_b", "same"), ("Path_A", "PATH B", "Same"), ("image1", "image2", "label"),
        ("img_a", "img_b", "is_same"), ("file 1", "file 2", "match"), ("image_path_1", "image_path_2", "same identity"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(("encoding", "end"), [("utf-8", "\n"), ("utf-8-sig", "\r\n"), ("utf-16", "\r\n")])
def test_dialects_of_spreadsheets_say_the_same(
    root: Path, tmp_path: Path, separator: str, names: tuple[str, ...], encoding: str, end: str
) -> None:
    rows = [
        names,
        ("ann/1.png", "bob/ü.png", "No"),
        ("ann/1.png", "c d/e f.png", "yes"),
        ('"ann/2, at sea.png"', "bob/ü.png", "0.0"),
    ]
    (tmp_path / "pairs.csv").write_bytes((end.join(separator.join(row) for row in rows) + end).encode(encoding))
    listed = read_pairs(tmp_path / "pairs.csv", root)
    assert as_rows(listed) == [
        ("ann/1.png", "bob/ü.png", False), ("ann/1.png", "c d/e f.png", True), ("ann/2, at sea.png", "bob/ü.png", False)
    ]  # fmt: skip


@pytest.mark.parametrize("extension", [".png", ".jpeg", ".JPG", ".bmp"])
def test_lfw_finds_images_of_other_extensions_and_not_those_of_a_mac(tmp_path: Path, extension: str) -> None:
    for folder in ("faces", "__MACOSX/faces"):
        for name in ("Al_Bo", "Cy"):
            (tmp_path / folder / name).mkdir(parents=True)
            for i in (1, 2):
                (tmp_path / folder / name / f"{name}_000{i}{extension}").touch()
    (tmp_path / "pairs.txt").write_text("1\nCy 1 2\nCy 1 Al_Bo 1\n")
    listed = read_pairs(tmp_path / "pairs.txt", tmp_path)
    assert listed.images == [f"faces/{stem}{extension}" for stem in ("Cy/Cy_0001", "Cy/Cy_0002", "Al_Bo/Al_Bo_0001")]


def test_a_list_of_another_format_is_refused(read: Callable[[str], PairList], tmp_path: Path) -> None:
    read(HEADER + GOOD).save(tmp_path)
    (tmp_path / "pairs.json").write_text('{"format": 2, "duplicates": 0}')
    with pytest.raises(ModelError, match=r"pairs\.json has format 2; .* reads format 1"):
        PairList.load(tmp_path)


MEMORY = """
import re, sys
from pathlib import Path
import numpy as np
from siamese_core.calibration.expected_rates import Interval
from siamese_core.calibration.operating_points import Calibration, OperatingPoint
from siamese_core.metrics.rates import Rate
from siamese_core.data.pair_lists import read_pairs
from siamese_core.evaluation.protocols import evaluate_pairs

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

none = Rate(0.0, 0.0, 0.0, 0, 1)
point = OperatingPoint("eer", 1.0, None, none, none, Interval(0.0, 1.0), Interval(0.0, 1.0))
calibration = Calibration({"eer": point}, "eer", "eer", {}, 1.0, 1.0, 0.1, 1, 1, 0.95, False, "")
start = peak()
listed = read_pairs(Path(sys.argv[1]), Path(sys.argv[2]))
read = peak()
embeddings = np.random.default_rng(0).normal(size=(len(listed.images), 64)).astype(np.float32)
found = evaluate_pairs(embeddings, listed, calibration)
print(found.genuine_pairs + found.impostor_pairs, found.duplicates, found.identities, read - start, peak() - start)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak of memory from /proc")
def test_a_pair_costs_a_few_bytes_however_long_its_paths(tmp_path: Path) -> None:
    names = [f"folder-{'x' * 60}-{number // 5}/{number}.png" for number in range(1500)]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    first, second = np.triu_indices(len(names), 1)
    pairs = zip(first[:1_000_000].tolist(), second[:1_000_000].tolist(), strict=True)
    with (tmp_path / "pairs.csv").open("w") as file:
        file.write(HEADER)
        file.writelines(f"{names[a]},{names[b]},{int(a // 5 == b // 5)}\n" for a, b in pairs)
    command = [sys.executable, "-c", MEMORY, str(tmp_path / "pairs.csv"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    pair_count, duplicates, identities, reading, all_of_it = map(
        int, done.stdout.splitlines()[-1].split()
    )  # after the progress
    assert (pair_count, duplicates, identities) == (1_000_000, 0, 300)
    assert reading < 80e6  # its cells as Python strings would be 300 MB
    assert all_of_it < 200e6
