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

CHAMPION, CHALLENGER = "champion", "challenger"
# MLflow's SQL store has this much room for a description, and a server on MySQL or PostgreSQL refuses more.
LONGEST_DESCRIPTION = 5000
_LONGEST_DECISIONS = 1000
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
    return [version for version in versions(name) if "promoted_at" in version.tags]


def load_champion(name: str) -> Champion | None:
    """The champion, or None if there is none."""
    champion = version_of(name, CHAMPION)
    if champion is None:
        return None
    return Champion(Verifier.load(verifier_folder(f"models:/{name}@{CHAMPION}")), str(champion.version))


def register(name: str, folder: Path, card: str, tags: dict[str, str]) -> str:
    """Log a verifier as an MLflow model of the active run and register it as the challenger.

    The version and its alias come last: the registry never shows a model whose files are not all there.

    Args:
        name: Of the registered model.
        folder: A folder of `Verifier.save`, with anything else that should travel along; it is named `verifier`. The
            hashes of all its files are written into it.
        card: Markdown; as much of it as there is room for becomes the version's description.
        tags: Lineage.

    Returns:
        The version.
    """
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
        registered = mlflow.register_model(info.model_uri, name, tags=tags)
    client = MlflowClient()
    client.update_model_version(name, registered.version, description=first_lines(card, LONGEST_DESCRIPTION))
    client.set_registered_model_alias(name, CHALLENGER, registered.version)
    return str(registered.version)


def promote(name: str, model_version: str, reason: str) -> None:
    """Make a version the champion, and note when and why."""
    _note(name, model_version, f"promoted {reason}")
    client = MlflowClient()
    client.set_model_version_tag(name, model_version, "promoted_at", datetime.now(UTC).isoformat(timespec="seconds"))
    client.set_registered_model_alias(name, CHAMPION, model_version)


def reject(name: str, model_version: str, reason: str) -> None:
    """Leave the champion as it is, and note why."""
    _note(name, model_version, f"rejected {reason}")


def _note(name: str, model_version: str, decision: str) -> None:
    """Write a decision into the version's tags and, above earlier ones, into its description."""
    client = MlflowClient()
    description = client.get_model_version(name, model_version).description or ""
    card, _, earlier = description.partition(_PROMOTION)
    decisions = _PROMOTION + first_lines(f"- {decision}\n{earlier}", _LONGEST_DECISIONS)
    description = first_lines(card, LONGEST_DESCRIPTION - len(decisions)) + decisions
    client.update_model_version(name, model_version, description=description)
    client.set_model_version_tag(name, model_version, "promotion", decision)


def first_lines(text: str, most: int) -> str:
    """The text, or as many of its first lines as fit into `most` characters."""
    if len(text) <= most:
        return text
    head = text[: most - 2]
    return (head.rpartition("\n")[0] or head) + "\n…"


def promotion_of(name: str, model_version: str) -> str:
    """The gate's decision about a version, with its reason."""
    return str(MlflowClient().get_model_version(name, model_version).tags.get("promotion", "not decided"))


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
