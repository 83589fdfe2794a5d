"""Measurement of a model on a user's own pairs, or on N-way one-shot tasks."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from siamese_cli.embedding import embed_readable
from siamese_cli.models import load_verifier
from siamese_core.data.ingest import list_files
from siamese_core.data.pair_lists import read_pairs
from siamese_core.errors import DataError
from siamese_core.evaluation.one_shot_tasks import OneShotResult
from siamese_core.evaluation.one_shot_tasks import evaluate_one_shot as measure_one_shot
from siamese_core.evaluation.protocols import KFold, PairsResult, evaluate_pairs
from siamese_core.evaluation.results import PointResult

_EXAMPLES = 5


@dataclass(frozen=True)
class PairsAnswer:
    """Result of a file of pairs, for people and machines."""

    file: Path
    result: PairsResult

    def as_json(self) -> dict[str, Any]:
        """The result as JSON values."""
        return {"pairs": str(self.file), **asdict(self.result)}

    def describe(self) -> str:
        """The result as a small table."""
        result = self.result
        people = "" if result.identities is None else f" of {result.identities:,} identities"
        repeated = f"; {result.duplicates:,} repeated rows are not counted again" if result.duplicates else ""
        return "\n".join(
            [
                f"{self.file}: {result.genuine_pairs:,} genuine and {result.impostor_pairs:,} impostor pairs of "
                f"{result.images:,} images{people}{repeated}",
                "",
                *_k_fold_lines(result.k_fold),
                f"  equal error rate    {result.eer:7.2%}",
                f"  area under the ROC  {result.auc:7.4f}",
                "",
                f"  operating point   threshold  target   {'FMR':<28}{'FNMR':<28}accuracy",
                *(_point_line(name, point, name == result.default) for name, point in result.points.items()),
                "",
                f"  * the model's default. Intervals: {result.confidence:.0%}, {_interval_words(result)}.",
            ]
        )


@dataclass(frozen=True)
class OneShotAnswer:
    """Result of one-shot tasks, for people and machines.

    Attributes:
        root: The folder.
        result: The errors.
        unreadable: Files that are not images.
    """

    root: Path
    result: OneShotResult
    unreadable: list[str]

    def as_json(self) -> dict[str, Any]:
        """The result as JSON values."""
        return {"root": str(self.root), **asdict(self.result), "unreadable": self.unreadable}

    def describe(self) -> str:
        """The result as a few lines."""
        result = self.result
        by_name = result.sources == "names"
        sources = "told by the file names" if by_name else "the images' numbers, as names do not tell them"
        lines = [
            f"{self.root}: {result.images:,} images of {result.identities:,} identities "
            f"in {len(result.groups):,} groups",
            "",
            f"  {result}",
            f"  support and query are by two sources: {sources}",
        ]
        if self.unreadable:
            lines.append(f"  {len(self.unreadable):,} files are not images: {', '.join(self.unreadable[:_EXAMPLES])}")
        return "\n".join(lines)


def evaluate(
    model: str | None, pairs: Path | None, way: int | None, images: Path | None
) -> PairsAnswer | OneShotAnswer:
    """Measure a model on a file of pairs, or by one-shot tasks.

    Args:
        model: Its name or folder; None for the only champion.
        pairs: A file of pairs, or None for one-shot tasks.
        way: Identities in a task, or None for pairs.
        images: The folder that paths start from; may be None for pairs, which then lie beside their file.

    Raises:
        DataError: The images or the file are missing or wrong.
        ModelError: There is no such model.
    """
    if pairs is not None:
        return evaluate_pairs_file(model, pairs, images or pairs.parent)
    if way is None or images is None:
        raise DataError("--one-shot N needs --images ROOT, a folder of folders of images.")
    return evaluate_one_shot(model, images, way)


def evaluate_pairs_file(model: str | None, file: Path, root: Path) -> PairsAnswer:
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
        examples = "; ".join(f"{path}: {reason}" for path, reason in list(failed.items())[:_EXAMPLES])
        raise DataError(
            f"{len(failed):,} of the {len(pairs.images):,} images in {file} cannot be read: {examples}. "
            "Mend them, or remove their pairs."
        )
    return PairsAnswer(file, evaluate_pairs(embeddings, pairs, verifier.calibration))


def evaluate_one_shot(model: str | None, root: Path, way: int) -> OneShotAnswer:
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
    files = [Path(file.path) for file in list_files(root)]
    verifier = load_verifier(model)
    paths, failed, embeddings = embed_readable(verifier, [root / path for path in files])
    result = measure_one_shot(embeddings, [path.relative_to(root).as_posix() for path in paths], way)
    return OneShotAnswer(root, result, [str(path) for path in failed])


def _k_fold_lines(result: KFold | None) -> list[str]:
    if result is None:
        return []
    return [
        f"  accuracy, {len(result.folds)} folds  {result.accuracy:7.2%} ± {result.standard_error:.2%} "
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
