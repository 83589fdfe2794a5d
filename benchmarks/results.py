"""The README's table of results: `python -m benchmarks.results omniglot faces` (or `make results`).

Reads what the champions of these names were measured to do on their test identities; measures nothing itself.
"""

import sys

from siamese_cli.show import facts
from siamese_cli.tracking import use_tracking
from siamese_core.evaluation.results import SystemResult
from siamese_core.report.wording import percent

HEAD = [
    "data",
    "test identities",
    "EER",
    "accuracy",
    "FMR at fmr_1e-2",
    "FNMR at fmr_1e-2",
    "EER of raw pixels",
    "accuracy of raw pixels",
    "training",
]


def row(name: str) -> list[str]:
    """One champion as a row of the table."""
    from mlflow.tracking import MlflowClient

    evaluation = facts(f"models:/{name}@champion").evaluation
    if evaluation is None:
        raise SystemExit(f"models:/{name}@champion has no evaluation.")
    version = MlflowClient().get_model_version_by_alias(name, "champion")
    seconds = MlflowClient().get_run(version.run_id).data.metrics["train_seconds"]
    point = evaluation.model.points["fmr_1e-2"]
    return [
        name,
        f"{evaluation.identities:,}",
        f"{evaluation.model.eer:.2%}",
        _accuracy(evaluation.model),
        percent(point.fmr),
        percent(point.fnmr),
        f"{evaluation.pixels.eer:.2%}",
        _accuracy(evaluation.pixels),
        f"{seconds / 60:.0f} min",
    ]


def _accuracy(system: SystemResult) -> str:
    return f"{system.points['accuracy'].accuracy:.2%}"


def main(names: list[str]) -> None:
    """Print the table as Markdown."""
    use_tracking()
    for cells in (HEAD, ["---"] * len(HEAD), *map(row, names)):
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main(sys.argv[1:])
