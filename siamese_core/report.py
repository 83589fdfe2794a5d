"""The evaluation report: one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from matplotlib.figure import Figure

from siamese_core import plots
from siamese_core.calibration import Calibration
from siamese_core.evaluation import Evaluation
from siamese_core.html import badge, image, page, table
from siamese_core.manifest import Manifest
from siamese_core.metrics import Rate
from siamese_core.pictures import thumbnail
from siamese_core.quality import quarantine_table
from siamese_core.report_protocols import protocol_sections
from siamese_core.results import Figures, PointResult, SystemResult
from siamese_core.store import ImageStore
from siamese_core.trained import TrainedEncoder


def report_page(
    evaluation: Evaluation,
    calibration: Calibration,
    trained: TrainedEncoder,
    manifest: Manifest,
    store: ImageStore,
    name: str,
) -> str:
    """The report of one model as an HTML page.

    Args:
        evaluation: Results on the test identities.
        calibration: Thresholds, and why some were refused.
        trained: For the training curves.
        manifest: For names and the quarantine.
        store: For the pictures of the worst errors.
        name: Of the model.
    """
    body = [
        f"<h1>{escape(name)}: verification report</h1>",
        f'<p class="verdict">{escape(verdict(evaluation))}</p>',
        f'<p class="soft">{escape(_basis(evaluation))}</p>',
        "<h2>Operating points</h2>",
        _points_table(evaluation.model),
        _refusals(calibration),
        "<h2>Beside raw pixels</h2>",
        _comparison(evaluation),
        *(["<h2>More figures</h2>", _more_figures(evaluation.figures)] if evaluation.figures else []),
        *protocol_sections(evaluation),
        "<h2>Curves</h2>",
        _plots(figures(evaluation, trained).values()),
        _events(trained),
        "<h2>Nearest impostor pairs</h2>",
        _pairs(evaluation.worst_false_matches, manifest, store),
        "<h2>Farthest genuine pairs</h2>",
        _pairs(evaluation.worst_false_non_matches, manifest, store),
        "<h2>Files that could not be used</h2>",
        quarantine_table(manifest),
        "<h2>Words</h2>",
        _GLOSSARY,
    ]
    return page(f"{name}: verification report", "\n".join(body))


def figures(evaluation: Evaluation, trained: TrainedEncoder) -> dict[str, Figure]:
    """The plots of the report by name."""
    return {
        "det": plots.det_plot(evaluation),
        "roc": plots.roc_plot(evaluation),
        "distances": plots.distance_plot(evaluation),
        "training": plots.training_plot(trained.history),
        "health": plots.health_plot(trained.history),
    }


def verdict(evaluation: Evaluation) -> str:
    """The result in one sentence."""
    point = evaluation.model.points[evaluation.default]
    return (
        f"At its default operating point {evaluation.default} this verifier accepts {percent(point.fmr)} of impostor "
        f"pairs and rejects {percent(point.fnmr)} of genuine pairs, of identities it has never seen "
        f"(equal error rate {evaluation.model.eer:.2%}; raw pixels {evaluation.pixels.eer:.2%})."
    )


def percent(rate: Rate) -> str:
    """A rate with its interval."""
    return f"{rate.value:.2%} ({rate.low:.2%} to {rate.high:.2%})"


_GLOSSARY = table(
    ["term", "meaning"],
    [
        ["genuine pair", "two images of one identity"],
        ["impostor pair", "images of two identities"],
        ["FMR", "false-match rate: impostor pairs that are taken for the same identity"],
        ["FNMR", "false-non-match rate: genuine pairs that are taken for two identities"],
        ["EER", "equal error rate: where FMR and FNMR are equal"],
        [
            "operating point",
            "a threshold on the squared distance; a pair below it counts as the same identity",
        ],
        ["interval", "bootstrap over identities, because pairs that share an identity are not independent"],
        ["accuracy", "1 − (FMR + FNMR) / 2: as many genuine as impostor pairs"],
        ["d′", "how many standard deviations the distances of genuine and impostor pairs lie apart"],
        ["Cllr", "cost of the probabilities in bits: 0 is perfect, 1 tells nothing; above its minimum: miscalibrated"],
        ["rank-1", "closed-set search: the nearest image of a gallery, one image an identity, is of the right one"],
        ["TAR", "true accept rate, 1 − FNMR, here at thresholds that keep the FMR on the test pairs themselves"],
    ],
)


def _basis(evaluation: Evaluation) -> str:
    def share(used: int, total: int) -> str:
        return f"{used:,}" if used == total else f"{used:,} of {total:,} (a seeded sample)"

    return (
        f"Measured on {evaluation.identities:,} test identities with {evaluation.images:,} images: "
        f"{share(evaluation.genuine_pairs, evaluation.genuine_total)} genuine and "
        f"{share(evaluation.impostor_pairs, evaluation.impostor_total)} impostor pairs. Thresholds come from other "
        f"identities, kept for calibration. Intervals are {evaluation.confidence:.0%}, by bootstrap over identities. "
        f"Failure to acquire: {evaluation.failure_to_acquire:.2%} of the files."
    )


def _points_table(system: SystemResult) -> str:
    head = [
        "operating point",
        "threshold",
        "target FMR",
        "FMR on test",
        "FNMR on test",
        "accuracy",
        "false matches",
        "false non-matches",
    ]
    return table(head, [_point_row(name, point) for name, point in system.points.items()])


def _point_row(name: str, point: PointResult) -> list[object]:
    target: object = "–"
    if point.target_fmr is not None:
        kept = point.fmr.low <= point.target_fmr <= point.fmr.high or point.fmr.value <= point.target_fmr
        target = badge(f"{point.target_fmr:g}", "good" if kept else "bad")
    return [
        name,
        f"{point.threshold:.4f}",
        target,
        percent(point.fmr),
        percent(point.fnmr),
        f"{point.accuracy:.2%}",
        f"{point.fmr.errors:,} of {point.fmr.pairs:,}",
        f"{point.fnmr.errors:,} of {point.fnmr.pairs:,}",
    ]


def _refusals(calibration: Calibration) -> str:
    return "".join(
        f'<p><strong class="warn">{escape(name)} refused.</strong> {escape(why)}</p>'
        for name, why in calibration.refused.items()
    )


def _comparison(evaluation: Evaluation) -> str:
    rows: list[list[object]] = []
    for name, system in (("this model", evaluation.model), ("raw pixels", evaluation.pixels)):
        default = system.points.get(evaluation.default)
        fnmr = percent(default.fnmr) if default else "–"
        rows.append(
            [
                name,
                f"{system.eer:.2%}",
                f"{system.auc:.4f}",
                f"{system.points['accuracy'].accuracy:.2%}",
                fnmr,
            ]
        )
    head = [
        "system",
        "EER",
        "AUC",
        "accuracy at its calibrated threshold",
        f"FNMR at its own {evaluation.default}",
    ]
    return table(head, rows)


def _more_figures(figures: Figures) -> str:
    rows: list[list[object]] = [
        ["d′", "–" if figures.sensitivity is None else f"{figures.sensitivity:.3f}"],
        ["Cllr (minimum Cllr)", f"{figures.cllr:.3f} ({figures.min_cllr:.3f}) bits"],
        [f"rank-1, {figures.searches:,} searches among {figures.gallery:,} identities", f"{figures.rank_1:.2%}"],
    ]
    rows += [[f"TAR at {name}", f"{rate:.2%}"] for name, rate in figures.tar.items()]
    rows += [[f"TAR at {name}", f"refused: {why}"] for name, why in figures.refused.items()]
    return table(["figure", "on test identities"], rows)


def _events(trained: TrainedEncoder) -> str:
    return "".join(
        f'<p><strong class="warn">Training, step {event["step"]:,}: {event["kind"]}.</strong> '
        f"{escape(event['message'])}</p>"
        for event in trained.events
    )


def _plots(drawn: Iterable[Figure]) -> str:
    return '<div class="plots">' + "".join(f"<figure>{plots.to_svg(figure)}</figure>" for figure in drawn) + "</div>"


def _pairs(pairs: list[tuple[int, int, float]], manifest: Manifest, store: ImageStore) -> str:
    paths = manifest.ok["path"]
    shown = []
    for a, b, distance in pairs:
        pictures = "".join(image(thumbnail(store.images[row]), paths[row]) for row in (a, b))
        caption = f"{distance:.3f}: {paths[a]} / {paths[b]}"
        shown.append(f"<figure>{pictures}<figcaption>{escape(caption)}</figcaption></figure>")
    return f'<div class="pairs">{"".join(shown)}</div>'
