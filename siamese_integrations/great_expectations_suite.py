"""The data checks, run by Great Expectations on tables of images and identities."""

import logging
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from siamese_core.config import DataConfig, ValidationConfig
from siamese_core.data.data_checks import Check, depth_table, identity_table, image_table
from siamese_core.data.layout import Group, answer, by_word, nested, recurring
from siamese_core.data.manifest import COLUMNS, Manifest
from siamese_core.data.names import look_alikes, quoted

logger = logging.getLogger(__name__)

_EXAMPLES = 20
# Two unused bits: 12 or 14 bits in files of 16.
_DARKEST = 0.25
_Level = Literal["error", "warning"]


@dataclass(frozen=True)
class _Rule:
    """An expectation with its meaning to a user."""

    expectation: Any
    level: _Level
    title: str
    advice: str
    label: str = "label"
    """Column that names the rows which do not satisfy it."""


def run_checks(
    manifest: Manifest, config: ValidationConfig, data: DataConfig | None = None, white_level: int | None = None
) -> tuple[list[Check], list[dict[str, Any]]]:
    """Run all checks.

    Args:
        manifest: The files.
        config: Requirements.
        data: The way from folders to identities; where it names none, suspicious folders are looked for.
        white_level: Of the images' preparation.

    Returns:
        The outcomes in words, and Great Expectations' own results as JSON.
    """
    logger.info("loading Great Expectations")  # seconds, and only this step needs it
    import great_expectations as gx

    images, identities = image_table(manifest), identity_table(manifest)
    identities["label"] = identities["identity"]
    logger.info(f"checking {len(images):,} images of {len(identities):,} identities")
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    source = context.data_sources.add_pandas("manifest")
    pairable = identities[identities["images"] >= 2]
    suites: list[tuple[str, pd.DataFrame, Iterable[_Rule]]] = [
        ("files", _labelled_files(manifest), _file_rules(config)),
        ("images", images, _image_rules(config)),
        ("depths", depth_table(manifest, white_level), _depth_rules()),
        ("identities", identities, _identity_rules()),
        ("folders", identities, list(_layout_rules(identities, data or DataConfig()))),
        ("pairable identities", pairable, _pairable_rules(config, len(identities))),
    ]
    checks, raw = [], []
    for name, table, rules in suites:
        batch = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe(name)
        loaded = batch.get_batch({"dataframe": table})
        for rule in rules:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = loaded.validate(rule.expectation, result_format=_format(rule)).to_json_dict()
            raw.append(result)
            checks.append(_outcome(rule, result))
    return checks, raw


def _format(rule: _Rule) -> dict[str, Any]:
    return {"result_format": "COMPLETE", "unexpected_index_column_names": [rule.label]}


def _file_rules(config: ValidationConfig) -> Iterator[_Rule]:
    import great_expectations.expectations as gxe

    for expectation, title in (
        (gxe.ExpectTableColumnsToMatchSet(column_set=[*COLUMNS, "label"]), "the manifest has its columns"),
        (gxe.ExpectColumnValuesToBeOfType(column="width", type_="int64"), "width is a whole number"),
        (gxe.ExpectColumnValuesToBeOfType(column="height", type_="int64"), "height is a whole number"),
        (gxe.ExpectColumnValuesToBeUnique(column="path"), "every file is listed once"),
    ):
        yield _Rule(expectation, "error", title, "The manifest was not made by this version; run ingest again.")
    shares: dict[_Level, tuple[str, float]] = {
        "error": ("min_decodable", config.min_decodable),
        "warning": ("warn_decodable", config.warn_decodable),
    }
    for level, (setting, share) in shares.items():
        yield _Rule(
            gxe.ExpectColumnValuesToBeInSet(column="status", value_set=["ok"], mostly=share),
            level,
            f"at least {share:.0%} of the files are readable images",
            f"Repair or remove these files (their reasons are in the quarantine table), or lower validation.{setting}.",
        )


def _image_rules(config: ValidationConfig) -> Iterator[_Rule]:
    import great_expectations.expectations as gxe

    between = gxe.ExpectColumnValuesToBeBetween
    number = gxe.ExpectTableRowCountToBeBetween(min_value=config.min_images)
    title, advice = f"there are at least {config.min_images} images", "Add images, or lower validation.min_images."
    yield _Rule(number, "error", title, advice)
    for column in ("width", "height"):
        title = f"{column} is at least {config.min_side} pixels"
        advice = "Such small images hold little to compare; consider removing them (validation.min_side)."
        yield _Rule(between(column=column, min_value=config.min_side), "warning", title, advice)
    shares: dict[_Level, float] = {"error": 1 - config.max_near_empty, "warning": 1.0}
    for level, share in shares.items():
        yield _Rule(
            between(column="contrast", min_value=config.min_contrast, mostly=share),
            level,
            f"{'all' if share == 1 else f'at least {share:.0%} of the'} images are more than near-empty",
            "Blank images match each other whoever they show; remove them (validation.min_contrast).",
        )
    if config.cross_identity_duplicates != "off":
        yield _Rule(
            between(column="identities_with_file", max_value=1),
            config.cross_identity_duplicates,
            "no identical image lies under two identities",
            "Keep each image under one identity, or set validation.cross_identity_duplicates to warning.",
        )
    yield _Rule(
        between(column="copies_in_identity", max_value=1),
        "warning",
        "no identity holds the same image twice",
        "A pair of copies is always a match and makes the error rates look better than they are; keep one.",
    )


def _depth_rules() -> Iterator[_Rule]:
    import great_expectations.expectations as gxe

    yield _Rule(
        gxe.ExpectColumnValuesToBeBetween(column="of_white", min_value=_DARKEST, max_value=1),
        "warning",
        "images of more than 8 bits reach from black to white",
        "They come out nearly black, or lose their light parts; set images.white_level to the number that is white.",
    )


def _identity_rules() -> Iterator[_Rule]:
    import great_expectations.expectations as gxe

    yield _Rule(
        gxe.ExpectColumnValuesToBeBetween(column="images", min_value=2),
        "warning",
        "every identity has at least 2 images",
        "Identities with a single image serve as negatives only.",
    )


def _layout_rules(identities: pd.DataFrame, data: DataConfig) -> Iterator[_Rule]:
    """Rules on identities that may be one person; each adds the column that names them.

    Where the user says what names an identity, only spellings are in question.
    """
    names = identities["identity"].tolist()
    if data.identity is None:
        title = "no identity is spread over folders such as train and test, or session1 and session2"
        yield _layout_rule(identities, by_word(names), "error", title)
        yield _layout_rule(identities, nested(names), "warning", "no folder of images has another in it")
        yield _layout_rule(identities, recurring(names), "warning", "no name recurs in several folders")
    alike = look_alikes(names)
    title = "no two identities differ in case, blanks or punctuation only"
    advice = "If those of a line are one, give their folders one name, or set data.merge_file, a CSV identity,into."
    yield _same_person(identities, alike, "warning", title, advice)


def _layout_rule(identities: pd.DataFrame, groups: list[Group], level: _Level, title: str) -> _Rule:
    advice = f"If those of a line are one, set {answer(groups)}; if all are different, set data.identity: path."
    return _same_person(identities, groups, level, title, advice)


def _same_person(identities: pd.DataFrame, groups: list[Group], level: _Level, title: str, advice: str) -> _Rule:
    import great_expectations.expectations as gxe

    same = {name: " = ".join(map(quoted, group)) for group in groups for name in group}
    identities[title] = identities["identity"].map(same).fillna("").astype("str")
    rule = gxe.ExpectColumnValuesToBeInSet(column=title, value_set=[""])
    return _Rule(rule, level, title, f"Each counts as a person of its own. {advice}", label=title)


def _pairable_rules(config: ValidationConfig, identities: int) -> Iterator[_Rule]:
    import great_expectations.expectations as gxe

    yield _Rule(
        gxe.ExpectTableRowCountToBeBetween(min_value=config.min_identities),
        "error",
        f"at least {config.min_identities} identities have 2 images or more ({identities} identities in all)",
        "Add identities with several images each (a folder for each identity), or lower validation.min_identities.",
    )


def _outcome(rule: _Rule, result: dict[str, Any]) -> Check:
    details = result["result"]
    passed = bool(result["success"])
    rows = details.get("unexpected_index_list") or []
    examples = list(dict.fromkeys(str(row[rule.label]) for row in rows if isinstance(row, dict)))
    return Check(rule.title, rule.level, passed, _observed(details, passed), examples[:_EXAMPLES], rule.advice)


def _observed(details: dict[str, Any], passed: bool) -> str:
    if "unexpected_count" in details and "element_count" in details:
        wrong, total = details["unexpected_count"], details["element_count"]
        return f"{total:,} of {total:,}" if not wrong else f"{wrong:,} of {total:,} are not"
    value = details.get("observed_value")
    return f"{value:,}" if isinstance(value, int) else "as expected" if passed else str(value)


def _labelled_files(manifest: Manifest) -> pd.DataFrame:
    files = manifest.judged
    reasons = files["path"] + ": " + files["reason"]
    return files.assign(label=files["path"].where(files["status"] == "ok", reasons))
