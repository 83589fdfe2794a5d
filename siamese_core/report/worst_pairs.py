"""The worst pairs as pictures: the nearest impostors and the farthest mates."""

from __future__ import annotations

from typing import Any

from siamese_core.calibration.operating_points import Calibration
from siamese_core.data.dataset import Dataset
from siamese_core.evaluation.evaluate import Evaluation
from siamese_core.pictures import photo
from siamese_core.report.render import data_uri
from siamese_core.report.wording import Badge, share

# (genuine, accepted) → outcome.
_OUTCOMES = {
    (True, True): Badge("good", "match"),
    (True, False): Badge("bad", "false non-match"),
    (False, True): Badge("bad", "false match"),
    (False, False): Badge("good", "non-match"),
}


def worst_pairs(evaluation: Evaluation, calibration: Calibration, dataset: Dataset) -> dict[str, Any]:
    """Pairs by kind, each with its pictures, outcome and figures."""
    table, threshold = dataset.manifest.ok, evaluation.model.points[evaluation.reference].threshold
    paths, identities = table["path"].tolist(), table["identity"].tolist()

    def view(a: int, b: int, distance: float) -> dict[str, Any]:
        probability = share(float(calibration.probability(distance)))
        return {
            "images": [(paths[row], data_uri(photo(dataset.store.images[row]), "jpeg")) for row in (a, b)],
            "outcome": _OUTCOMES[identities[a] == identities[b], distance < threshold],
            "figures": f"distance {distance:.3f}, probability {probability}",
        }

    groups = {
        "Nearest impostor pairs": evaluation.worst_false_matches,
        "Farthest genuine pairs": evaluation.worst_false_non_matches,
    }
    return {"groups": {title: [view(*pair) for pair in pairs] for title, pairs in groups.items()}}
