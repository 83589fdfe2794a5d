"""From what a user names to a model: an exported folder, a registered model, or the only champion there is."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from siamese_core.errors import ModelError

if TYPE_CHECKING:
    from siamese_core.verifier import Verifier


def load_verifier(model: str | None) -> "Verifier":
    """Loads the model that a user named."""
    from siamese_core.verifier import Verifier

    return Verifier.load(model_folder(model))


def model_folder(model: str | None) -> Path:
    """The folder with the verifier's files.

    Args:
        model: A folder, `models:/NAME@ALIAS`, `models:/NAME/VERSION`, or None for the only champion.

    Raises:
        ModelError: There is no such model, or more than one to choose from.
    """
    if model and not model.startswith("models:"):
        if not Path(model).is_dir():
            raise ModelError(f"{model} is neither a folder nor models:/NAME@champion.")
        return Path(model)
    return _registered(model or only_champion())


def only_champion() -> str:
    """The URI of the champion, where exactly one registered model has one.

    Raises:
        ModelError: No model has a champion, or several have.
    """
    from siamese_cli.tracking import use_tracking

    use_tracking()
    from mlflow.tracking import MlflowClient

    names = [found.name for found in MlflowClient().search_registered_models() if "champion" in found.aliases]
    if len(names) == 1:
        return f"models:/{names[0]}@champion"
    if not names:
        raise ModelError("No registered model has a champion yet; train one, or name a folder with --model.")
    raise ModelError(
        "Several models have a champion; choose with --model: " + ", ".join(f"models:/{n}@champion" for n in names)
    )


def promote_by_hand(name: str, version: str) -> None:
    """Makes a version the champion.

    Raises:
        ModelError: There is no such version.
    """
    from siamese_cli.tracking import use_tracking

    use_tracking()
    from mlflow.exceptions import MlflowException

    from siamese_integrations.mlflow_registry import promote

    try:
        promote(name, version, "promoted by hand")
    except MlflowException as error:
        raise ModelError(f"{name} version {version} cannot be promoted: {error.message}") from error


def rollback(name: str) -> tuple[str, str]:
    """Makes the version that was champion before the present one the champion again.

    Returns:
        The version that was champion, and the one that is now.

    Raises:
        ModelError: There is no champion, or none was before it.
    """
    from siamese_cli.tracking import use_tracking

    use_tracking()
    from siamese_integrations.mlflow_registry import champions, promote, version_of

    present = version_of(name, "champion")
    if present is None:
        raise ModelError(f"{name} has no champion.")
    earlier = [version for version in champions(name) if version.version != present.version]
    if not earlier:
        raise ModelError(f"{name} version {present.version} is the only champion there has been.")
    # Not `promoted_at` alone: a version that was rolled back from must not come back by a second rollback.
    before = [version for version in earlier if int(version.version) < int(present.version)]
    if not before:
        raise ModelError(f"{name} version {present.version} is the oldest champion; name one with `siamese promote`.")
    promote(name, before[0].version, f"rolled back by hand from version {present.version}")
    return str(present.version), str(before[0].version)


def history(name: str) -> list[dict[str, str]]:
    """All versions of a model, newest first, with what the gate decided.

    Raises:
        ModelError: There is no such model.
    """
    from siamese_cli.tracking import use_tracking

    use_tracking()
    from siamese_integrations.mlflow_registry import versions

    found = [
        {
            "version": str(version.version),
            "made": datetime.fromtimestamp(version.creation_timestamp / 1000).isoformat(" ", "seconds"),
            "aliases": ", ".join(version.aliases),
            "decision": version.tags.get("promotion", ""),
            "test_eer": version.tags.get("test_eer", ""),
        }
        for version in versions(name)
    ]
    if not found:
        raise ModelError(f"There is no registered model {name}.")
    return found


def _registered(uri: str) -> Path:
    from siamese_cli.tracking import use_tracking

    use_tracking()
    from siamese_integrations.mlflow_registry import verifier_folder

    return verifier_folder(uri)
