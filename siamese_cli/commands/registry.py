"""`siamese history`, `promote` and `rollback`: the versions of a registered model."""

from datetime import datetime

import click

from siamese_cli.models import load_verifier, parse, registered_name
from siamese_cli.options import command
from siamese_cli.output import Answer
from siamese_cli.tracking import registry
from siamese_core.errors import ModelError

_name = click.argument("name", metavar="NAME")
_reason = click.option("--reason", metavar="TEXT", help="Kept in the version's history.")
_wait = click.option("--wait", is_flag=True, help="Wait for a run of this name instead of declining.")


@command("siamese history people")
@_name
def history(name: str) -> Answer:
    """List the versions of the registered model NAME.

    The newest comes first, each with its aliases, its equal error rate and the reason why it was promoted or not. Error
    rates are compared with the last version before it that was measured on the same test pairs, where there is one.
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
                "gate": version.tags.get("gate", ""),
                "test_eer": version.tags.get("test_eer", ""),
                "test_pairs": version.tags.get("test_pairs", ""),
                "default_operating_point": version.tags.get("default_operating_point", ""),
            }
            for version in versions(name)
        ]
    if not rows:
        raise ModelError(f"There is no registered model {name}.")
    rows = [row | _beside_earlier(row, rows[place + 1 :]) for place, row in enumerate(rows)]
    return Answer(rows, "\n".join(map(_version_lines, rows)))


@command("siamese promote people 3 --reason 'tried in the shop'", "siamese promote people@challenger")
@_name
@click.argument("version", metavar="[VERSION]", required=False)
@_reason
@_wait
def promote(name: str, version: str | None, reason: str | None, wait: bool) -> Answer:
    """Make a version of the registered model NAME its champion.

    Whatever the promotion gate has decided about it; the gate's words stay with the version. A version that cannot be
    loaded is refused. The exit code is 75 while a run of this name is at work.
    """
    label = f"{name}/{version}" if version else name
    model = parse(label)
    if model is None or not (model.version or model.alias):
        raise ModelError(f"{label} is no version of a registered model: give NAME VERSION, NAME/VERSION or NAME@ALIAS.")
    with registry():
        from siamese_integrations.mlflow_registry import champion_number
        from siamese_integrations.model_lock import model_lock

        with model_lock(model.name, "siamese promote", wait):
            try:
                number = str(model.lookup().version)
                _make_champion(model.name, number, "by hand", reason, champion_number(model.name))
            except ModelError as error:
                raise ModelError(f"{model.uri} cannot be promoted: {error}") from error
    return Answer({"champion": number}, f"{model.name}: version {number} is the champion")


@command("siamese rollback people", "siamese rollback people --reason 'too many false alarms'")
@_name
@_reason
@_wait
def rollback(name: str, reason: str | None, wait: bool) -> Answer:
    """Make the previous champion of NAME the champion again.

    The exit code is 75 while a run of this name is at work.
    """
    name = registered_name(name)
    with registry():
        from siamese_integrations.mlflow_registry import champion_number, champions
        from siamese_integrations.model_lock import model_lock

        with model_lock(name, "siamese rollback", wait):
            was = champion_number(name)
            if was is None:
                raise ModelError(f"{name} has no champion.")
            others = [str(version.version) for version in champions(name) if str(version.version) != was]
            if not others:
                raise ModelError(f"{name} version {was} is the only champion there has been.")
            # Not `promoted_at` alone: a version that was rolled back from must not come back by a second rollback.
            now = next((version for version in others if int(version) < int(was)), None)
            if now is None:
                raise ModelError(f"{name} version {was} is the oldest champion; name one with `siamese promote`.")
            try:
                _make_champion(name, now, f"by hand: rolled back from version {was}", reason, was)
            except ModelError as error:
                way_out = "Name another version with `siamese promote`."
                raise ModelError(f"{name} cannot be rolled back to version {now}: {error} {way_out}") from error
    return Answer({"champion": now, "was": was}, f"{name}: version {now} is the champion again, instead of {was}")


def _make_champion(name: str, version: str, words: str, reason: str | None, instead_of: str | None) -> None:
    """Promote a version whose files are there and can be read; the caller holds the lock."""
    from siamese_integrations.mlflow_registry import promote

    load_verifier(f"models:/{name}/{version}")
    promote(name, version, f"{words}: {reason}" if reason else words, instead_of)


def _beside_earlier(row: dict[str, str], earlier: list[dict[str, str]]) -> dict[str, str]:
    """The newest of the earlier versions with the same test pairs, and how much higher the EER is than its."""
    same = (other for other in earlier if row["test_pairs"] and other["test_pairs"] == row["test_pairs"])
    if (other := next(same, None)) is None:
        return {"compared_with": "", "eer_difference": ""}
    return {
        "compared_with": other["version"],
        "eer_difference": f"{float(row['test_eer']) - float(other['test_eer']):+.6f}",
    }


def _version_lines(row: dict[str, str]) -> str:
    gate = f"\n      the gate: {row['gate']}" if row["gate"] not in ("", row["decision"]) else ""
    return f"{row['version']:>4}  {row['made']}  {row['aliases']:<22} {_eer(row)}\n      {row['decision']}{gate}"


def _eer(row: dict[str, str]) -> str:
    if not row["test_eer"]:
        return ""
    eer = f"EER {float(row['test_eer']):.2%}"
    if other := row["compared_with"]:
        return f"{eer}, {float(row['eer_difference']):+.2%} against version {other} on the same test pairs"
    return f"{eer}, no earlier version has its test pairs" if row["test_pairs"] else f"{eer}, test pairs not recorded"
