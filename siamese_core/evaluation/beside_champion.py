"""The challenger beside the champion, on test identities that trained neither of them."""

from __future__ import annotations

from dataclasses import replace

from siamese_core.config import CalibrationConfig
from siamese_core.data.dataset import Dataset
from siamese_core.errors import DataError
from siamese_core.evaluation.champion import Champion
from siamese_core.evaluation.comparison import Contender, compare_with_champion
from siamese_core.evaluation.held_out import HeldOut
from siamese_core.evaluation.results import ChampionResult
from siamese_core.evaluation.unseen import unseen_by
from siamese_core.network.embedding import Embedder, RowEmbedder
from siamese_core.verifier import Verifier


def beside_champion(
    challenger: Verifier,
    champion: Champion,
    data: Dataset,
    config: CalibrationConfig,
    seed: int,
    embedder: Embedder | None = None,
) -> ChampionResult:
    """Compare the two where both meet strangers.

    Args:
        challenger: The new model.
        champion: The present one; test identities of today may have trained it, after another split.
        data: The images, without those that trained the challenger.
        config: Caps and intervals, as in the calibration.
        seed: Of samples and resamples.
        embedder: The challenger's, with what it has embedded already; a new one if not given.
    """
    part, record = config.parts[1], champion.verifier.trained.trained_on
    left_out = len(record.among(data.split.identities(part))) if record else 0
    try:
        fair = unseen_by(record, data, [part])
    except DataError:
        return ChampionResult(champion.version, champion.verifier.calibration.default, None, {}, left_out)
    test = HeldOut.of(fair, part, config, seed)
    distances = test.distances(embedder or RowEmbedder(challenger.encoder, data.store.images))
    contender = Contender(distances, challenger.calibration.default_threshold)
    result = compare_with_champion(contender, champion, fair, test)
    return replace(result, left_out=left_out)
