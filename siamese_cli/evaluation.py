"""Measurement of a model on a user's own pairs, or on N-way one-shot tasks."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path, PurePosixPath

from siamese_cli.embedding import embed_readable
from siamese_cli.models import load_verifier
from siamese_cli.output import Answer
from siamese_core.data.ingest import image_files
from siamese_core.data.pair_lists import read_pairs
from siamese_core.errors import DataError, examples
from siamese_core.evaluation.one_shot_tasks import OneShotResult
from siamese_core.evaluation.one_shot_tasks import evaluate_one_shot as measure_one_shot
from siamese_core.evaluation.protocols import PairsResult, evaluate_pairs
from siamese_core.evaluation.results import PointResult
from siamese_core.verifier import Verifier

_EXAMPLES = 5


def evaluate_pairs_file(model: str | None, file: Path, root: Path) -> Answer:
    """Measure a model on a file of pairs; each distinct image is embedded once.

    Args:
        model: Its name or folder; None for the only champion.
        file: CSV or LFW's format.
        root: The folder that its paths start from.

    Raises:
        DataError: The file is wrong, or an image cannot be read.
        ModelError: There is no such model.
    """
    pairs = read_pairs(file, root)
    verifier = load_verifier(model)
    _, failed, embeddings = embed_readable(verifier, [root / path for path in pairs.images])
    if failed:
        some = "; ".join(f"{path}: {reason}" for path, reason in list(failed.items())[:_EXAMPLES])
        raise DataError(
            f"{len(failed):,} of the {len(pairs.images):,} images in {file} cannot be read: {some}. "
            "Mend them, or remove their pairs."
        )
    result, default = evaluate_pairs(embeddings, pairs, verifier.calibration), verifier.calibration.default_in_words
    folders = _trained_on(verifier, pairs.images, root)
    value = {"pairs": file, **asdict(result), "default_in_words": default, "trained_on": folders}
    return Answer(value, "\n".join([*_warning(folders), _pairs_table(file, result, default)]))


def evaluate_one_shot(model: str | None, root: Path, way: int) -> Answer:
    """Measure a model by N-way one-shot tasks within the groups of a folder.

    Args:
        model: Its name or folder; None for the only champion.
        root: Holds folders of images, or groups of such folders.
        way: Identities in a task, 2 or more.

    Raises:
        DataError: The folder does not exist or no group has two identities of two images.
        ModelError: There is no such model.
    """
    if way < 2:
        raise DataError(f"--one-shot is {way}, but a task needs at least 2 identities.")
    verifier = load_verifier(model)
    paths, failed, embeddings = embed_readable(verifier, image_files(root))
    images = [path.relative_to(root).as_posix() for path in paths]
    result, folders = measure_one_shot(embeddings, images, way), _trained_on(verifier, images, root)
    unreadable = list(map(str, failed))
    value = {"root": root, **asdict(result), "unreadable": unreadable, "trained_on": folders}
    return Answer(value, "\n".join([*_warning(folders), _one_shot_lines(root, result, unreadable)]))


def _trained_on(verifier: Verifier, images: Sequence[str], root: Path) -> list[str] | None:
    """Find the folders whose identity trained the model; None where nobody has recorded who did.

    Training may have seen a folder from further up or down, so each ending of its whole path counts as its name.

    Args:
        verifier: The model.
        images: Paths below the root.
        root: The folder that they start from.
    """
    record = verifier.trained.trained_on
    if record is None:
        return None
    below = sorted({parent.as_posix() for image in images for parent in PurePosixPath(image).parents} - {"."})
    names = {folder: (root.absolute() / folder).parts for folder in below}
    endings = {folder: ["/".join(parts[start:]) for start in range(1, len(parts))] for folder, parts in names.items()}
    members = set(record.among({ending for each in endings.values() for ending in each}))
    trained = [folder for folder in below if members.intersection(endings[folder])]
    return trained if trained or record.complete else None


def _warning(trained_on: list[str] | None) -> list[str]:
    if trained_on is None:
        return ["Note: not recorded who trained this model. Of people who did, these figures are too good.", ""]
    if not trained_on:
        return []
    return [
        f"Warning: {len(trained_on):,} of these folders trained this model or one that it started from "
        f"({examples(trained_on)}). The figures are too good: strangers will be confused more often.",
        "",
    ]


def _pairs_table(file: Path, result: PairsResult, default: str) -> str:
    people = "" if result.identities is None else f" of {result.identities:,} identities"
    repeated = f"; {result.duplicates:,} repeated rows are not counted again" if result.duplicates else ""
    return "\n".join(
        [
            f"{file}: {result.genuine_pairs:,} genuine and {result.impostor_pairs:,} impostor pairs of "
            f"{result.images:,} images{people}{repeated}",
            "",
            *_k_fold_lines(result),
            f"  equal error rate    {result.eer:7.2%}",
            f"  area under the ROC  {result.auc:7.4f}",
            "",
            f"  operating point   threshold  target   {'FMR':<28}{'FNMR':<28}accuracy",
            *(_point_line(name, point, name == result.default) for name, point in result.points.items()),
            "",
            f"  {'* ' if result.default else ''}{default}",
            f"  Intervals: {result.confidence:.0%}, {_interval_words(result)}.",
        ]
    )


def _one_shot_lines(root: Path, result: OneShotResult, unreadable: list[str]) -> str:
    by_name = result.sources == "names"
    sources = "told by the file names" if by_name else "the images' numbers, as names do not tell them"
    lines = [
        f"{root}: {result.images:,} images of {result.identities:,} identities in {len(result.groups):,} groups",
        "",
        f"  {result}",
        f"  support and query are by two sources: {sources}",
    ]
    if unreadable:
        lines.append(f"  {len(unreadable):,} files are not images: {', '.join(unreadable[:_EXAMPLES])}")
    return "\n".join(lines)


def _k_fold_lines(result: PairsResult) -> list[str]:
    if not (folds := result.k_fold):
        return []
    return [
        f"  accuracy, {len(folds.folds)} folds  {folds.accuracy:7.2%} ± {folds.standard_error:.2%} "
        "(standard error), each fold at the threshold that is best on the others"
    ]


def _point_line(name: str, point: PointResult, default: bool) -> str:
    target = "–" if point.target_fmr is None else f"{point.target_fmr:g}"
    rates = f"{point.fmr!s:<28}{point.fnmr!s:<28}"
    mark = "*" if default else " "
    return f"{mark} {name:<16}  {point.threshold:9.4f}  {target:>6}   {rates}{point.accuracy:8.2%}"


def _interval_words(result: PairsResult) -> str:
    if result.identities is not None:
        return f"by a bootstrap over the {result.identities:,} identities, which are the images' folders"
    return (
        "Wilson's, which take pairs as independent: the images' folders do not tell identities. They are too narrow "
        "where one identity is in many pairs"
    )
