"""The MLflow model registry: reading the champion, registering a challenger, promoting it."""

import base64
import contextlib
import io
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.tracking import MlflowClient
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from PIL import Image

from siamese_core.checksums import write_checksums
from siamese_core.errors import ModelError
from siamese_core.evaluation.champion import Champion
from siamese_core.verifier import Verifier
from siamese_integrations.model_lock import check_held

CHAMPION, CHALLENGER = "champion", "challenger"
# MLflow's SQL store has this much room for a description, and a server on MySQL or PostgreSQL refuses more.
LONGEST_DESCRIPTION = 5000
_LONGEST_DECISIONS = 1000
_CONTENT, _GATE, _DECISION, _PROMOTED_AT = "content_sha256", "gate", "promotion", "promoted_at"
_PROMOTION = "\n## Promotion\n"
_ROOT = Path(__file__).resolve().parents[1]
_CODE = Path(__file__).with_name("mlflow_model.py")
# The imports of the model's code; the versions of this environment are pinned with the model.
_REQUIREMENTS = (
    "lazy-loader",
    "mlflow",
    "torch",
    "torchvision",
    "numpy",
    "pandas",
    "pillow",
    "pillow-heif",
    "safetensors",
    "scikit-learn",
    "scipy",
    "pyarrow",
    "pydantic",
    "tqdm",
)


class ChampionMovedError(ModelError):
    """Another version became champion while a decision about it was being made."""


def version_of(name: str, alias: str) -> ModelVersion | None:
    """The version with an alias, or None if the model or the alias does not exist."""
    try:
        return MlflowClient().get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def verifier_folder(uri: str) -> Path:
    """The verifier's files of a registered model, on this machine.

    Args:
        uri: `models:/NAME@ALIAS` or `models:/NAME/VERSION`.

    Raises:
        ModelError: There is no such model.
    """
    try:
        with quiet():
            local = mlflow.artifacts.download_artifacts(artifact_uri=uri)
    except (MlflowException, OSError) as error:
        raise ModelError(f"{uri} cannot be read from {mlflow.get_tracking_uri()}: {error}") from error
    folder = Path(local) / "artifacts" / "verifier"
    if not folder.is_dir():
        raise ModelError(f"{uri} was not registered by this project: it has no artifacts/verifier.")
    return folder


def versions(name: str) -> list[ModelVersion]:
    """All versions of a model, newest first, with their aliases; none if there is no such model."""
    client = MlflowClient()
    # A search does not tell the aliases.
    numbers = [version.version for version in client.search_model_versions(f"name = '{name}'")]
    complete = [client.get_model_version(name, number) for number in numbers]
    return sorted(complete, key=lambda version: int(version.version), reverse=True)


def champions(name: str) -> list[ModelVersion]:
    """The versions that are or have been champion, newest first."""
    return [version for version in versions(name) if _PROMOTED_AT in version.tags or CHAMPION in version.aliases]


def champion_number(name: str) -> str | None:
    """The version that is champion, or None if there is none."""
    champion = version_of(name, CHAMPION)
    return str(champion.version) if champion else None


def load_champion(name: str) -> Champion | None:
    """The champion, or None if there is none."""
    champion = version_of(name, CHAMPION)
    if champion is None:
        return None
    number = str(champion.version)  # not the alias: it may move in between
    return Champion(Verifier.load(verifier_folder(f"models:/{name}/{number}")), number)


def version_with(name: str, content: str) -> str | None:
    """The version that was registered with this content; None if there is none."""
    numbers = [str(version.version) for version in versions(name) if version.tags.get(_CONTENT) == content]
    return next(iter(numbers), None)


def register(name: str, folder: Path, card: str, tags: dict[str, str], content: str) -> str:
    """Log a verifier as an MLflow model of the active run and register it as the challenger.

    The version comes last and whole: the registry never shows a model whose files are not all there. A version of the
    same content, of a run that was killed here, is completed and not registered twice.

    Args:
        name: Of the registered model.
        folder: A folder of `Verifier.save`, with anything else that should travel along; it is named `verifier`. The
            hashes of all its files are written into it.
        card: Markdown; as much of it as there is room for becomes the version's description.
        tags: Lineage.
        content: A hash that tells this model from all others.

    Returns:
        The version.
    """
    number = version_with(name, content) or _new_version(name, folder, tags | {_CONTENT: content})
    client = MlflowClient()
    client.update_model_version(name, number, description=first_lines(card, LONGEST_DESCRIPTION))
    client.set_registered_model_alias(name, CHALLENGER, number)
    return number


def _new_version(name: str, folder: Path, tags: dict[str, str]) -> str:
    verifier = Verifier.load(folder)
    write_checksums(folder)
    with quiet():
        info = mlflow.pyfunc.log_model(
            name="verifier",
            python_model=str(_CODE),
            artifacts={folder.name: str(folder)},
            code_paths=[str(_ROOT / "siamese_core")],
            signature=_signature(verifier.calibration.default or ""),
            input_example=(_input_example(), {"operating_point": verifier.calibration.reference.name}),
            pip_requirements=[f"{package}=={version(package)}" for package in _REQUIREMENTS],
        )
        return str(mlflow.register_model(info.model_uri, name, tags=tags).version)


def note_gate(name: str, model_version: str, words: str) -> None:
    """Keep the gate's words about a version, whatever is decided about it by hand later."""
    MlflowClient().set_model_version_tag(name, model_version, _GATE, words)


def promote(name: str, model_version: str, reason: str, instead_of: str | None) -> None:
    """Make a version the champion, then note when and why. The caller holds the model's lock.

    Args:
        name: Of the registered model.
        model_version: The version; where it is champion already, it is only noted.
        reason: Why.
        instead_of: The champion that the decision is about; None for no champion.

    Raises:
        ChampionMovedError: Another version is champion by now.
        BusyError: The lock was lost.
    """
    client = MlflowClient()
    present = champion_number(name)
    if present not in (instead_of, model_version):
        raise ChampionMovedError(f"{name} version {present or 'none'} became the champion instead of {instead_of}.")
    if present and present != model_version and _PROMOTED_AT not in client.get_model_version(name, present).tags:
        _note_time(name, present)  # of a run that was killed between the alias and the note
    check_held(name)
    client.set_registered_model_alias(name, CHAMPION, model_version)
    if (now := champion_number(name)) != model_version:
        raise ChampionMovedError(f"{name} version {now or 'none'} became the champion while {model_version} did.")
    _note_time(name, model_version)
    _note(name, model_version, f"promoted {reason}")


def reject(name: str, model_version: str, reason: str) -> None:
    """Leave the champion as it is, and note why."""
    _note(name, model_version, f"rejected {reason}")


def _note_time(name: str, model_version: str) -> None:
    """Note that a version is or was champion."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    MlflowClient().set_model_version_tag(name, model_version, _PROMOTED_AT, now)


def _note(name: str, model_version: str, decision: str) -> None:
    """Write a decision into the version's description, above earlier ones, and, last, into its tags."""
    client = MlflowClient()
    description = client.get_model_version(name, model_version).description or ""
    card, _, earlier = description.partition(_PROMOTION)
    if not earlier.startswith(f"- {decision}\n"):
        decisions = _PROMOTION + first_lines(f"- {decision}\n{earlier}", _LONGEST_DECISIONS)
        description = first_lines(card, LONGEST_DESCRIPTION - len(decisions)) + decisions
        client.update_model_version(name, model_version, description=description)
    client.set_model_version_tag(name, model_version, _DECISION, decision)


def first_lines(text: str, most: int) -> str:
    """The text, or as many of its first lines as fit into `most` characters."""
    if len(text) <= most:
        return text
    head = text[: most - 2]
    return (head.rpartition("\n")[0] or head) + "\n…"


def promotion_of(name: str, model_version: str) -> str | None:
    """The last decision about a version, with its reason; None where none was made or noted."""
    return MlflowClient().get_model_version(name, model_version).tags.get(_DECISION)


def gate_of(name: str, model_version: str) -> str | None:
    """The gate's words about a version, noted before it was promoted or rejected."""
    return MlflowClient().get_model_version(name, model_version).tags.get(_GATE)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hide MLflow's download bars and the messages about its work; let errors through."""
    logger = logging.getLogger("mlflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stderr(_Sink()):
            yield
    finally:
        logger.setLevel(level)


class _Sink(io.StringIO):
    """A stream that drops its text; MLflow's bars keep the stream after the block, so it must stay open."""

    def write(self, text: str) -> int:
        return len(text)


def _signature(default_point: str) -> ModelSignature:
    return ModelSignature(
        # "string" also lets bytes pass; MLflow's "binary" is decoded in some request formats and not in others.
        inputs=_columns(image_a=DataType.string, image_b=DataType.string, image=DataType.string),
        outputs=_columns(
            distance=DataType.double, probability=DataType.double, same=DataType.boolean, error=DataType.string
        ),
        params=ParamSchema([ParamSpec("operating_point", DataType.string, default_point)]),
    )


def _columns(**kinds: DataType) -> Schema:
    return Schema([ColSpec(kind, name, required=False) for name, kind in kinds.items()])


def _input_example() -> pd.DataFrame:
    """Two drawn pictures as base64 text: no image of the training data leaves it this way."""
    texts = []
    for angle in (0, 180):
        buffer = io.BytesIO()
        Image.linear_gradient("L").rotate(angle).resize((32, 32)).save(buffer, "PNG")
        texts.append(base64.b64encode(buffer.getvalue()).decode())
    return pd.DataFrame({"image_a": [texts[0]], "image_b": [texts[1]]})
