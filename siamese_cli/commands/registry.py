"""`siamese history`, `promote` and `rollback`: the versions of a registered model."""

from datetime import datetime

import click

from siamese_cli.models import parse, registered_name
from siamese_cli.options import command
from siamese_cli.output import Answer
from siamese_cli.tracking import registry
from siamese_core.errors import ModelError

_name = click.argument("name", metavar="NAME")


@command("siamese history people")
@_name
def history(name: str) -> Answer:
    """List the versions of the registered model NAME.

    The newest comes first, each with its aliases, its equal error rate and the reason why it was promoted or not.
    """
    name = registered_name(name)
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
    return Answer(rows, "\n".join(map(_version_lines, rows)))


@command("siamese promote people 3", "siamese promote people/3", "siamese promote people@challenger")
@_name
@click.argument("version", metavar="[VERSION]", required=False)
def promote(name: str, version: str | None) -> Answer:
    """Make a version of the registered model NAME its champion.

    Whatever the promotion gate has decided about it.
    """
    label = f"{name}/{version}" if version else name
    model = parse(label)
    if model is None or not (model.version or model.alias):
        raise ModelError(f"{label} is no version of a registered model: give NAME VERSION, NAME/VERSION or NAME@ALIAS.")
    try:
        number = str(model.lookup().version)
        with registry():
            from siamese_integrations.mlflow_registry import promote

            promote(model.name, number, "by hand")
    except ModelError as error:
        raise ModelError(f"{model.uri} cannot be promoted: {error}") from error
    return Answer({"champion": number}, f"{model.name}: version {number} is the champion")


@command("siamese rollback people")
@_name
def rollback(name: str) -> Answer:
    """Make the previous champion of NAME the champion again."""
    name = registered_name(name)
    with registry():
        from siamese_integrations.mlflow_registry import champions, promote, version_of

        present = version_of(name, "champion")
        if present is None:
            raise ModelError(f"{name} has no champion.")
        was = str(present.version)
        others = [str(version.version) for version in champions(name) if str(version.version) != was]
        if not others:
            raise ModelError(f"{name} version {was} is the only champion there has been.")
        # Not `promoted_at` alone: a version that was rolled back from must not come back by a second rollback.
        now = next((version for version in others if int(version) < int(was)), None)
        if now is None:
            raise ModelError(f"{name} version {was} is the oldest champion; name one with `siamese promote`.")
        promote(name, now, f"by hand: rolled back from version {was}")
    return Answer({"champion": now, "was": was}, f"{name}: version {now} is the champion again, instead of {was}")


def _version_lines(row: dict[str, str]) -> str:
    eer = f"EER {float(row['test_eer']):.2%}" if row["test_eer"] else ""
    return f"{row['version']:>4}  {row['made']}  {row['aliases']:<22} {eer}\n      {row['decision']}"
