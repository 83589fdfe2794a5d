"""Facts about a model: the operating points, the errors on test identities, and where the report is."""

from dataclasses import dataclass
from typing import Any

from siamese_cli.models import Registered, locate, reading
from siamese_cli.tracking import registry
from siamese_core.calibration.operating_points import Calibration
from siamese_core.evaluation.evaluate import Evaluation
from siamese_core.evaluation.results import PointResult
from siamese_core.messages import mask_credentials
from siamese_core.metrics.rates import Rate


@dataclass(frozen=True)
class Facts:
    """Facts about a model.

    Attributes:
        model: Its name or folder.
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
        values: dict[str, Any] = {"model": self.model, "registered": self.registered}
        values["calibration"] = self.calibration.summary()
        if test := self.evaluation:
            values |= {"evaluation": test.summary(), "points": test.model.points}
            values |= {"pairs": test.pairs, "one_shot": test.one_shot, "champion": test.champion}
        return values


def facts(model: str | None) -> Facts:
    """Read what is recorded about the model that a user named."""
    folder, registered = locate(model)
    with reading(folder):
        calibration = Calibration.load(folder)
        evaluation = Evaluation.load(folder) if (folder / "evaluation.json").is_file() else None
    label = registered.uri if registered else str(model)
    return Facts(label, calibration, evaluation, _entry(registered) if registered else {})


def describe(known: Facts) -> str:
    """The facts as a short page of text."""
    lines = ["", f"  {known.model}" + (f"  (version {known.registered['version']})" if known.registered else ""), ""]
    if known.evaluation:
        lines += _evaluation_lines(known.evaluation)
    lines += [f"  {known.calibration.default_in_words}", ""]
    lines += _expected_lines(known.calibration, known.evaluation)
    lines += [f"  {name} is refused: {why}" for name, why in known.calibration.refused.items()]
    lines += [f"  Caution: {known.calibration.caution}"] if known.calibration.caution else []
    lines += [f"  {label:<10} {known.registered[key]}" for label, key in _PLACES if known.registered.get(key)]
    return "\n".join([*lines, ""])


_PLACES = (("decision", "decision"), ("report", "report"), ("MLflow", "ui"))


def _evaluation_lines(evaluation: Evaluation) -> list[str]:
    point = evaluation.model.points[evaluation.reference]
    at = f"at {evaluation.reference}{', the default' if evaluation.default else ''}"
    lines = [
        f"  On {evaluation.identities:,} identities it has never seen ({evaluation.genuine_pairs:,} genuine and "
        f"{evaluation.impostor_pairs:,} impostor pairs):",
        "",
        f"    equal error rate         {evaluation.model.eer:7.2%}   (raw pixels {evaluation.pixels.eer:.2%})",
        f"    false matches            {_interval(point.fmr)}   {at}",
        f"    false non-matches        {_interval(point.fnmr)}   {at}",
        "",
        "    operating point   threshold   target       FMR        FNMR",
    ]
    points = [_point_line(name, point) for name, point in evaluation.model.points.items()]
    return [*lines, *points, "", *_protocol_lines(evaluation), *_gap_lines(evaluation)]


def _protocol_lines(evaluation: Evaluation) -> list[str]:
    protocols = {"pairs": evaluation.pairs, "one-shot": evaluation.one_shot, "champion": evaluation.champion}
    return [f"  {label:<10} {result}" for label, result in protocols.items() if result]


def _gap_lines(evaluation: Evaluation) -> list[str]:
    gaps = evaluation.gaps()
    if not gaps:
        return []
    example = f"{gaps[0].column}, {gaps[0].group}: {gaps[0].gap}"
    return [f"  {len(gaps)} of {len(evaluation.slices)} groups of pairs do measurably worse, such as {example}", ""]


def _expected_lines(calibration: Calibration, evaluation: Evaluation | None) -> list[str]:
    """Expectations that calibration stated beforehand; none in a model of an older version."""
    points = [point for point in calibration.points.values() if point.expected_fmr and point.expected_fnmr]
    if not points:
        return []
    thresholds = "conservative thresholds" if calibration.conservative else "thresholds"
    others = "the same" if evaluation and evaluation.folds else f"{calibration.identities:,} other"
    return [
        f"  Calibrated on {others} identities ({thresholds}). Expected of new identities, all "
        f"at once with {calibration.confidence:.0%} confidence:",
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


def _entry(model: Registered) -> dict[str, str]:
    """Version, aliases, decision and places of a registered model."""
    import mlflow

    from siamese_integrations.report_place import report_place

    version, tracking = model.lookup(), mask_credentials(mlflow.get_tracking_uri())
    with registry() as client:
        report = report_place(client.get_run(version.run_id).info.artifact_uri) if version.run_id else ""
    return {
        "version": str(version.version),
        "aliases": ", ".join(version.aliases),
        "tracking_uri": tracking,
        "decision": version.tags.get("promotion", ""),
        "report": report,
        "ui": tracking if tracking.startswith("http") else f"mlflow ui --backend-store-uri {tracking}",
    }
