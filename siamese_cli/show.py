"""`siamese show`: the verdict, the operating points, and where the report is."""

from dataclasses import asdict, dataclass
from typing import Any

from siamese_cli.models import model_folder, only_champion
from siamese_core.calibration.operating_points import Calibration
from siamese_core.evaluation.evaluate import Evaluation
from siamese_core.evaluation.results import PointResult
from siamese_core.metrics.rates import Rate


@dataclass(frozen=True)
class Facts:
    """What is known of a model.

    Attributes:
        model: As the user named it.
        calibration: Its thresholds.
        evaluation: Its errors on test identities, where they came with it.
        registered: Version, aliases, decision and places; empty for a folder.
    """

    model: str
    calibration: Calibration
    evaluation: Evaluation | None
    registered: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        """Everything but the points of the curves."""
        found: dict[str, Any] = {"model": self.model, "registered": self.registered}
        found["calibration"] = self.calibration.summary()
        if self.evaluation:
            found["evaluation"] = self.evaluation.summary()
            found["points"] = {name: asdict(point) for name, point in self.evaluation.model.points.items()}
            for name in ("pairs", "one_shot", "champion"):
                result = getattr(self.evaluation, name)
                found[name] = asdict(result) if result else None
        return found


def facts(model: str | None) -> Facts:
    """Reads what is known of the model that a user named."""
    name = model or only_champion()
    folder = model_folder(name)
    evaluation = Evaluation.load(folder) if (folder / "evaluation.json").is_file() else None
    registered = _registered(name) if name.startswith("models:") else {}
    return Facts(name, Calibration.load(folder), evaluation, registered)


def describe(found: Facts) -> str:
    """The facts as a short page of text."""
    lines = [
        "",
        f"  {found.model}" + (f"  (version {found.registered['version']})" if found.registered else ""),
        "",
    ]
    if found.evaluation:
        lines += _evaluation_lines(found.evaluation)
    lines += _expected_lines(found.calibration)
    lines += [f"  {name} is refused: {why}" for name, why in found.calibration.refused.items()]
    lines += [f"  Caution: {found.calibration.caution}"] if found.calibration.caution else []
    lines += [f"  {label:<10} {found.registered[key]}" for label, key in _PLACES if found.registered.get(key)]
    return "\n".join([*lines, ""])


_PLACES = (("decision", "decision"), ("report", "report"), ("MLflow", "ui"))


def _evaluation_lines(evaluation: Evaluation) -> list[str]:
    point = evaluation.model.points[evaluation.default]
    lines = [
        f"  On {evaluation.identities:,} identities it has never seen ({evaluation.genuine_pairs:,} genuine and "
        f"{evaluation.impostor_pairs:,} impostor pairs):",
        "",
        f"    equal error rate         {evaluation.model.eer:7.2%}   (raw pixels {evaluation.pixels.eer:.2%})",
        f"    false matches            {_interval(point.fmr)}   at {evaluation.default}, the default",
        f"    false non-matches        {_interval(point.fnmr)}   at {evaluation.default}, the default",
        "",
        "    operating point   threshold   target       FMR        FNMR",
    ]
    points = [_point_line(name, point) for name, point in evaluation.model.points.items()]
    return [*lines, *points, "", *_protocol_lines(evaluation), *_gap_lines(evaluation)]


def _protocol_lines(evaluation: Evaluation) -> list[str]:
    found = {"pairs": evaluation.pairs, "one-shot": evaluation.one_shot, "champion": evaluation.champion}
    return [f"  {label:<10} {result}" for label, result in found.items() if result]


def _gap_lines(evaluation: Evaluation) -> list[str]:
    found = evaluation.gaps()
    if not found:
        return []
    first = found[0]
    example = f"{first.column}, {first.group}: {first.gap}"
    return [f"  {len(found)} of {len(evaluation.slices)} groups of pairs do measurably worse, such as {example}", ""]


def _expected_lines(calibration: Calibration) -> list[str]:
    """What calibration stated beforehand; nothing in a model of an older version."""
    points = [point for point in calibration.points.values() if point.expected_fmr and point.expected_fnmr]
    if not points:
        return []
    chosen = "conservative thresholds" if calibration.conservative else "thresholds"
    return [
        f"  Calibrated on {calibration.identities:,} other identities ({chosen}). Expected of new identities, all at "
        f"once with {calibration.confidence:.0%} confidence:",
        "",
        "    operating point   FMR                     FNMR",
        *(f"    {point.name:<16}  {point.expected_fmr!s:<22}  {point.expected_fnmr!s}" for point in points),
        "",
    ]


def _point_line(name: str, point: PointResult) -> str:
    target = "–" if point.target_fmr is None else f"{point.target_fmr:g}"
    return f"    {name:<16}  {point.threshold:9.4f}   {target:>6}  {point.fmr.value:8.3%}  {point.fnmr.value:9.3%}"


def _interval(rate: Rate) -> str:
    return f"{rate.value:7.2%}   ({rate.low:.2%} to {rate.high:.2%})"


def _registered(uri: str) -> dict[str, str]:
    import mlflow
    from mlflow.tracking import MlflowClient

    from siamese_integrations.report_place import report_place

    client = MlflowClient()
    name, _, alias = uri.removeprefix("models:/").partition("@")
    name, _, number = name.partition("/")
    version = client.get_model_version_by_alias(name, alias) if alias else client.get_model_version(name, number)
    tracking = mlflow.get_tracking_uri()
    found = {"version": str(version.version), "aliases": ", ".join(version.aliases), "tracking_uri": tracking}
    found["decision"] = version.tags.get("promotion", "")
    found["report"] = report_place(client.get_run(version.run_id).info.artifact_uri) if version.run_id else ""
    found["ui"] = tracking if tracking.startswith("http") else f"mlflow ui --backend-store-uri {tracking}"
    return found
