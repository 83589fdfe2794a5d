"""Versions of a registered model: their history, and moving its champion by hand."""

from datetime import datetime

from siamese_cli.models import parse, registered_name
from siamese_cli.tracking import registry
from siamese_core.errors import ModelError


def history(text: str) -> list[dict[str, str]]:
    """List all versions of a model, newest first, with what the gate decided.

    Raises:
        ModelError: There is no such model.
    """
    name = registered_name(text)
    with registry():
        from siamese_integrations.mlflow_registry import versions

        rows = [
            {
                "version": str(version.version),
                "made": datetime.fromtimestamp(version.creation_timestamp / 1000).isoformat(" ", "seconds"),
                "aliases": ", ".join(version.aliases),
                "decision": version.tags.get("promotion", ""),
                "test_eer": version.tags.get("test_eer", ""),
            }
            for version in versions(name)
        ]
    if not rows:
        raise ModelError(f"There is no registered model {name}.")
    return rows


def describe(rows: list[dict[str, str]]) -> str:
    """The history as two lines a version."""
    return "\n".join(
        f"{row['version']:>4}  {row['made']}  {row['aliases']:<22} {_eer(row)}\n      {row['decision']}" for row in rows
    )


def promote(text: str, number: str | None) -> tuple[str, str]:
    """Make a version the champion.

    Args:
        text: A model, with its version or an alias where `number` is None.
        number: The version.

    Returns:
        The model's name, and the version.

    Raises:
        ModelError: There is no such version.
    """
    label = f"{text}/{number}" if number else text
    model = parse(label)
    if model is None or not (model.version or model.alias):
        raise ModelError(f"{label} is no version of a registered model: give NAME VERSION, NAME/VERSION or NAME@ALIAS.")
    try:
        version = str(model.lookup().version)
        with registry():
            from siamese_integrations.mlflow_registry import promote

            promote(model.name, version, "promoted by hand")
    except ModelError as error:
        raise ModelError(f"{model.uri} cannot be promoted: {error}") from error
    return model.name, version


def rollback(text: str) -> tuple[str, str, str]:
    """Make the version that was champion before the present one the champion again.

    Returns:
        The model's name, the version that was champion, and the one that is now.

    Raises:
        ModelError: There is no champion, or none was before it.
    """
    name = registered_name(text)
    with registry():
        from siamese_integrations.mlflow_registry import champions, promote, version_of

        present = version_of(name, "champion")
        if present is None:
            raise ModelError(f"{name} has no champion.")
        others = [version for version in champions(name) if version.version != present.version]
        if not others:
            raise ModelError(f"{name} version {present.version} is the only champion there has been.")
        # Not `promoted_at` alone: a version that was rolled back from must not come back by a second rollback.
        earlier = [version for version in others if int(version.version) < int(present.version)]
        if not earlier:
            raise ModelError(
                f"{name} version {present.version} is the oldest champion; name one with `siamese promote`."
            )
        promote(name, earlier[0].version, f"rolled back by hand from version {present.version}")
    return name, str(present.version), str(earlier[0].version)


def _eer(row: dict[str, str]) -> str:
    return f"EER {float(row['test_eer']):.2%}" if row["test_eer"] else ""
