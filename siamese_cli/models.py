"""Names of models, the same in every command, and the folder of the verifier that a name means.

`NAME` (its champion), `NAME@ALIAS` and `NAME/VERSION`, with or without `models:/` in front, name a registered model;
anything else is a folder. Without `models:/` a folder that holds a verifier comes first.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from siamese_cli.tracking import registry, use_tracking
from siamese_core.errors import ModelError, SiameseError

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from siamese_core.verifier import Verifier

# MLflow allows neither / nor : in a name.
_URI = re.compile(r"models:/(?P<name>[^/:]+?)(@(?P<alias>[^/:@]+)|/(?P<version>[^/:@]+))?")
_SHORT = re.compile(r"(?P<name>[^./:~][^/:]*?)(@(?P<alias>[^/:@]+)|/(?P<version>\d+))?")
_LOGGED = re.compile(r"m-[0-9a-f]{32}")  # MLflow's id of a model that need not be registered
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Registered:
    """A registered model, with an alias, a version, or neither."""

    name: str
    alias: str | None
    version: str | None

    @property
    def uri(self) -> str:
        """MLflow's address of it."""
        if self.version:
            return f"models:/{self.name}/{self.version}"
        if _LOGGED.fullmatch(self.name) and not self.alias:
            return f"models:/{self.name}"
        return f"models:/{self.name}@{self.alias or 'champion'}"

    def lookup(self) -> ModelVersion:
        """Read its entry in the registry.

        Raises:
            ModelError: There is none.
        """
        with registry() as client:
            if self.version:
                return client.get_model_version(self.name, self.version)
            return client.get_model_version_by_alias(self.name, self.alias or "champion")


def parse(text: str) -> Registered | None:
    """Read the name of a registered model; None for what can only be a folder."""
    match = _URI.fullmatch(text) or _SHORT.fullmatch(text)
    return Registered(**match.groupdict()) if match else None


def registered_name(text: str) -> str:
    """Read the name of a registered model where a version makes no sense.

    Raises:
        ModelError: It is no name, or has an alias or a version.
    """
    model = parse(text)
    if model is None or model.alias or model.version:
        raise ModelError(f"{text} is not the name of a registered model, such as people or models:/people.")
    return model.name


def load_verifier(model: str | None) -> Verifier:
    """Load the model that a user named.

    Raises:
        ModelError: There is no such model, or its files are damaged.
    """
    from siamese_core.verifier import Verifier

    folder, _ = locate(model)
    with reading(folder):
        return Verifier.load(folder)


def locate(model: str | None) -> tuple[Path, Registered | None]:
    """Find the files of the model that a user named.

    Args:
        model: A name as this module describes it; None for the only champion.

    Returns:
        The verifier's folder, and its name in the registry, or None for a folder of the user.

    Raises:
        ModelError: There is no such model, or more than one to choose from.
    """
    if model is None:
        return _download(only_champion())
    registered = parse(model)
    folder = None if model.startswith("models:/") else _verifier_in(Path(model))
    if folder and registered:
        _log.info("Taking the folder %s; models:/%s would be the registered model.", model, model)
    if folder:
        return folder, None
    if registered is None:
        raise ModelError(f"{model} is neither a folder of a verifier nor the name of a registered model.")
    try:
        return _download(registered)
    except ModelError as error:
        if words := _without_champion(registered):
            raise ModelError(words) from error
        if model.startswith("models:/"):
            raise
        raise ModelError(f"{model} is neither a folder of a verifier nor a registered model: {error}") from error


def only_champion() -> Registered:
    """Find the champion, where exactly one registered model has one.

    Raises:
        ModelError: No model has a champion, or several have.
    """
    with registry() as client:
        names = [model.name for model in client.search_registered_models() if "champion" in model.aliases]
    if len(names) == 1:
        return Registered(names[0], "champion", None)
    if not names:
        raise ModelError("No registered model has a champion; train one, or name a version or a folder with --model.")
    raise ModelError(f"Several models have a champion; choose one with --model: {', '.join(names)}")


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Say in words that the files of a folder are damaged.

    Raises:
        ModelError: In place of whatever the libraries raise that read the files, unless memory or disk are to blame.
    """
    try:
        yield
    except (SiameseError, OSError, MemoryError):
        raise
    except Exception as error:
        raise ModelError(f"The model in {folder} is damaged ({type(error).__name__}: {error}).") from error


def _verifier_in(folder: Path) -> Path | None:
    """Find a verifier's files, in a folder or below one that MLflow wrote."""
    from siamese_core.verifier import FILES

    places = (folder, folder / "artifacts" / "verifier")
    return next((place for place in places if any((place / name).is_file() for name in FILES)), None)


def _without_champion(model: Registered) -> str | None:
    """The way out where a model has versions and no champion, which a name without more means; None elsewhere."""
    if model.version or model.alias not in (None, "champion"):
        return None
    with registry():
        from siamese_integrations.mlflow_registry import champion_number, versions

        entries = versions(model.name)
        if not entries or champion_number(model.name):
            return None
    newest = entries[0]
    decision = newest.tags.get("promotion") or "not decided about"
    return (
        f"{model.name} has no champion. Its newest version, {newest.version}, was {decision}. Name a version, such as "
        f"{model.name}/{newest.version}, or make one champion with `siamese promote`."
    )


def _download(model: Registered) -> tuple[Path, Registered]:
    use_tracking()
    from siamese_integrations.mlflow_registry import verifier_folder

    return verifier_folder(model.uri), model
