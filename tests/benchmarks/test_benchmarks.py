"""Every benchmark runs at tiny sizes, with the peers or without them."""

import importlib.util
import re
from pathlib import Path

import pytest

from benchmarks import ingest, training
from benchmarks.__main__ import main
from benchmarks.measure import HOW_TO_INSTALL, Absent, Cost, in_process

_HAS_PEER = importlib.util.find_spec("pytorch_metric_learning") is not None
_SIZES = training.QUICK[0]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training")
    ingest.write_photos(folder / "images", 80)  # 8 identities
    training.prepare(folder)
    return folder


def test_mining_prints_lines_and_writes_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["mining", "--quick", "--note", "shared cores", "--write", str(tmp_path / "page.md")])
    page = (tmp_path / "page.md").read_text()
    for text in (capsys.readouterr().out, page):
        assert "semi_hard, B = 32" in text
        assert "ours: 224 triplets" in text  # 32 anchors with 7 positives each
        assert "shared cores" in text
        assert (HOW_TO_INSTALL in text) != _HAS_PEER
    assert "Claim: semi-hard mining" in page


def test_search_prints_lines(capsys: pytest.CaptureFixture[str]) -> None:
    main(["search", "--quick"])
    printed = capsys.readouterr().out
    assert "exact search, N = 500; peer: FAISS flat" in printed
    assert "recall 1.000" in printed


def test_both_sides_of_the_roc_find_the_same_threshold(capsys: pytest.CaptureFixture[str]) -> None:
    main(["roc", "--quick"])
    found = re.search(r"ours: threshold ([0-9.]+); peer: threshold ([0-9.]+)", capsys.readouterr().out)
    assert found
    assert float(found[1]) == pytest.approx(float(found[2]), abs=1e-5)


def test_ingest_measures_three_ways(tmp_path: Path) -> None:
    ingest.write_photos(tmp_path / "data", 100)
    loop = ingest.image_folder_loop(tmp_path)
    first, again = ingest.ingest_twice(tmp_path)
    assert min(loop.seconds, first.seconds, again.seconds) > 0


def test_our_training_is_measured(prepared: Path) -> None:
    assert training.ours(prepared, _SIZES).seconds > 0


@pytest.mark.parametrize("augmented", [True, False])
def test_compute_alone_is_measured(prepared: Path, augmented: bool) -> None:
    assert training.compute_only(prepared, _SIZES, augmented).seconds > 0


def test_the_peers_training_is_measured_where_it_is_installed(prepared: Path) -> None:
    cost = in_process(training.peer, prepared, _SIZES, 1)
    assert isinstance(cost, Cost) if _HAS_PEER else HOW_TO_INSTALL in cost.reason


def test_the_faster_peer_counts() -> None:
    assert training.faster([Cost(3, 0), Absent("killed"), Cost(2, 0)]) == Cost(2, 0)
    assert training.faster([Absent("killed"), Absent("late")]) == Absent("killed")
