"""A run's traces in MLflow: parameters, curves, figures and the report, each in one call and not one a value."""

import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.entities import Metric
from mlflow.tracking import MlflowClient

from siamese_integrations.report_place import REPORT, report_place

_LONGEST_TAG = 5000


def log_parameters(**groups: Any) -> None:
    """Log dataclasses as `group.field`, other values as they are."""
    values = {
        name: asdict(value) if hasattr(value, "__dataclass_fields__") else value for name, value in groups.items()
    }
    mlflow.log_params(pd.json_normalize(values).to_dict("records")[0])


def log_history(history: list[dict[str, float]], events: list[dict[str, Any]], speed: dict[str, float]) -> None:
    """Log the training curves over the steps, the events of the collapse monitor, and the speed of training."""
    now = round(time.time() * 1000)
    curves = [
        Metric(name, value, now, int(row["step"])) for row in history for name, value in row.items() if name != "step"
    ]
    totals = [Metric(f"train_{name}", value, now, 0) for name, value in speed.items()]
    recoveries = sum(event["kind"] == "recovery" for event in events)
    _log_batches([*curves, *totals, Metric("train_recoveries", recoveries, now, 0)])
    if events:
        mlflow.set_tag("training_events", "\n".join(event["message"] for event in events)[:_LONGEST_TAG])


def log_evaluation(metrics: dict[str, float], charts: dict[str, str], page: str) -> str:
    """Log the test figures, the report as HTML and its charts as SVG files.

    Returns:
        The report's file, or its URI where artifacts lie on another machine.
    """
    now = round(time.time() * 1000)
    _log_batches([Metric(name, value, now, 0) for name, value in metrics.items()])
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / REPORT).write_text(page, encoding="utf-8")
        (Path(folder) / "charts").mkdir()
        for name, chart in charts.items():
            (Path(folder) / "charts" / f"{name}.svg").write_text(chart, encoding="utf-8")
        mlflow.log_artifacts(folder)
    return report_place(mlflow.get_artifact_uri())


def _log_batches(metrics: list[Metric], size: int = 1000) -> None:
    run = mlflow.active_run()
    assert run is not None, "ZenML's MLflow tracker starts a run for every step that asks for one"
    for start in range(0, len(metrics), size):
        MlflowClient().log_batch(run.info.run_id, metrics[start : start + size])
