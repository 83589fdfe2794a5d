from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from siamese_cli.show import Facts, describe
from siamese_core.artifact import hash_folder, read_json, write_json
from siamese_core.calibration.operating_points import Calibration
from siamese_core.config import EvaluationConfig, ImageConfig
from siamese_core.data.dataset import Dataset
from siamese_core.errors import ModelError
from siamese_core.evaluation.evaluate import Evaluation, _count_all_pairs, evaluate_verifier
from siamese_core.evaluation.held_out import HeldOut
from siamese_core.metrics.identification import identify
from siamese_core.network.embedding import RowEmbedder, embed
from siamese_core.network.trained import TrainedEncoder
from siamese_core.report.origin import Origin
from siamese_core.report.page import report_page
from siamese_core.report.wording import verdict
from siamese_core.verifier import Verifier
from tests.siamese_core.evaluation.untrained import CONFIG, SEED, untrained


@dataclass(frozen=True)
class Measured:
    """A verifier, measured."""

    data: Dataset
    verifier: Verifier
    evaluation: Evaluation

    @property
    def calibration(self) -> Calibration:
        return self.verifier.calibration

    def page(self, name: str = "letters") -> str:
        verifier, data = self.verifier, self.data
        return report_page(self.evaluation, verifier.calibration, verifier.trained, data, Origin(name))


@pytest.fixture(scope="module")
def measured(dataset: Dataset) -> Measured:
    verifier = untrained(dataset)
    protocols = EvaluationConfig(robustness=False)
    return Measured(dataset, verifier, evaluate_verifier(verifier, dataset, CONFIG, protocols, SEED))


def test_the_figures_are_a_few_lines_of_numpy(measured: Measured) -> None:
    """FMR and FNMR of every test pair, written once more from the images up."""
    data, evaluation = measured.data, measured.evaluation
    images = data.manifest.ok
    testing = images["identity"].isin(data.split.identities("test")).to_numpy()
    x = embed(measured.verifier.trained.build(), np.asarray(data.store.images)[testing]).astype(float)
    names = images["identity"][testing].to_numpy()
    squared = ((x[:, None] - x[None]) ** 2).sum(-1)
    upper = np.triu(np.ones_like(squared, bool), 1)
    same = names[:, None] == names[None]
    for name, point in evaluation.model.points.items():
        threshold = measured.calibration.points[name].threshold
        fmr = (squared[upper & ~same] < threshold).mean()
        fnmr = (squared[upper & same] >= threshold).mean()
        assert point.threshold == threshold
        assert point.fmr.value == pytest.approx(fmr, abs=1e-4)
        assert point.fnmr.value == pytest.approx(fnmr, abs=1e-4)
        assert point.accuracy == pytest.approx(1 - (fmr + fnmr) / 2, abs=1e-4)
    assert evaluation.genuine_pairs == (upper & same).sum()
    assert evaluation.impostor_pairs == (upper & ~same).sum()
    nearest = evaluation.worst_false_matches[0]
    assert nearest[2] == pytest.approx(squared[upper & ~same].min(), abs=1e-6)
    assert evaluation.worst_false_non_matches[0][2] == pytest.approx(squared[upper & same].max(), abs=1e-6)


def test_it_round_trips_to_the_same_bytes(measured: Measured, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    measured.evaluation.save(tmp_path / "a")
    Evaluation.load(tmp_path / "a").save(tmp_path / "b")
    assert hash_folder(tmp_path / "a") == hash_folder(tmp_path / "b")


def test_more_figures_are_a_few_lines_of_numpy_and_stand_in_metrics_and_report(measured: Measured) -> None:
    evaluation, calibration = measured.evaluation, measured.calibration
    test = HeldOut.of(measured.data, "test", CONFIG, SEED)
    embedder = RowEmbedder(measured.verifier.encoder, test.images.pixels)
    distances = test.distances(embedder)
    genuine, impostor = distances.genuine, distances.impostor
    metrics, figures = evaluation.metrics(), evaluation.figures
    spread = np.sqrt((genuine.std() ** 2 + impostor.std() ** 2) / 2)
    assert metrics["test_d_prime"] == pytest.approx((impostor.mean() - genuine.mean()) / spread, abs=1e-3)
    bits = -np.log2(calibration.probability(genuine)).mean() - np.log2(1 - calibration.probability(impostor)).mean()
    assert metrics["test_cllr"] == pytest.approx(bits / 2, abs=1e-3)
    assert 0 <= metrics["test_min_cllr"] <= metrics["test_cllr"]
    accepted = (genuine < np.sort(impostor)[len(impostor) // 10]).mean()
    assert metrics["test_tar_at_fmr_1e-1"] == pytest.approx(accepted, abs=1e-3)
    assert figures.tar_impostor_pairs == test.pairs.impostor_total  # whatever the cap on the pairs of the intervals
    assert "the test part has" in figures.refused["fmr_1e-5"]
    assert 0 <= metrics["test_rank_1"] <= metrics["test_rank_5"] <= 1
    searches = identify(embedder(test.images.rows), test.images.labels, SEED)
    assert figures.cmc == {rank: pytest.approx((searches.rank <= rank).mean()) for rank in (5, 10)}  # 12 identities
    alarm = np.sort(searches.nearest_other)[len(searches.nearest_other) // 10]
    right = ((searches.rank == 1) & (searches.mate < alarm)).mean()
    assert figures.identified == {"0.1": pytest.approx(right)}
    assert figures.searches == evaluation.images - figures.gallery
    page = measured.page()
    assert f"<span>d′</span><b>{metrics['test_d_prime']:.3f}</b>" in page


def test_a_gap_is_counted_and_shown(measured: Measured) -> None:
    evaluation, calibration = measured.evaluation, measured.calibration
    assert {group.column for group in evaluation.slices} >= {"brightness", "contrast", "sharpness"}
    words = "FNMR 40.00%, in all pairs 10.00%"
    plain = [replace(group, gap="") for group in evaluation.slices]
    gap = replace(plain[0], column="camera", value="phone", other="tablet", gap=words)
    assert replace(evaluation, slices=[*plain, gap]).metrics()["slice_gaps"] == 1
    text = describe(Facts("letters", calibration, replace(evaluation, slices=[*plain, gap]), {}))
    assert (
        f"1 of {len(plain) + 1} groups of pairs do measurably worse, such as camera, phone with tablet: {words}" in text
    )
    assert "worse" not in describe(Facts("letters", calibration, replace(evaluation, slices=plain), {}))
    assert "slice_gaps" not in replace(evaluation, slices=[]).metrics()


def test_a_file_without_a_number_is_read_and_one_without_figures_is_refused(measured: Measured, tmp_path: Path) -> None:
    """Models that were registered before files had a number still load."""
    measured.evaluation.save(tmp_path)
    saved = read_json(tmp_path / "evaluation.json")
    del saved["format"]
    write_json(tmp_path / "evaluation.json", saved)
    assert Evaluation.load(tmp_path) == measured.evaluation
    del saved["figures"]
    write_json(tmp_path / "evaluation.json", saved)
    with pytest.raises(ModelError, match=r"evaluation\.json does not hold the right values"):
        Evaluation.load(tmp_path)


def test_the_report_says_the_verdict(measured: Measured) -> None:
    page = measured.page("a <model> & more")
    assert "a &lt;model&gt; &amp; more: verification report" in page
    assert f'<p class="verdict">{verdict(measured.evaluation, measured.calibration)}</p>' in page
    curves = measured.evaluation.model.curves
    assert len(curves.thresholds) == len(curves.fnmr_low) == len(curves.fnmr_high) == len(curves.fmr)


def test_image_config_travels_with_the_weights(measured: Measured, tmp_path: Path) -> None:
    measured.verifier.trained.save(tmp_path)
    assert TrainedEncoder.load(tmp_path).images == ImageConfig(size=16, color="grey", invert=True)


def test_shares_of_all_pairs_are_all_pairs(measured: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    test = HeldOut.of(measured.data, "test", CONFIG, SEED)
    embeddings = RowEmbedder(measured.verifier.encoder, test.images.pixels)(test.images.rows)
    whole = _count_all_pairs(embeddings, test.images.labels)
    monkeypatch.setattr("siamese_core.evaluation.evaluate._PAIRS_OF_A_SHARE", 3000)
    shares = _count_all_pairs(embeddings, test.images.labels)
    for name in ("genuine", "impostor", "nearest"):
        np.testing.assert_array_equal(getattr(shares, name), getattr(whole, name))
    assert whole.impostor.sum() == test.pairs.impostor_total
