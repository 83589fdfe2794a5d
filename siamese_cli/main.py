"""The `siamese` command: a parser, and one function a command. Heavy imports happen inside the functions."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SAME, DIFFERENT, TROUBLE = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    Returns:
        0 for success (`verify`: same), 1 for a negative answer (`verify`: different; `embed`: some files could not
        be read), 2 for trouble.
    """
    options = _parser().parse_args(arguments)
    from siamese_core.errors import SiameseError

    try:
        return int(options.run(options))
    except SiameseError as error:
        print(f"siamese {options.command}: {error}", file=sys.stderr)
    except BrokenPipeError:
        sys.stderr.close()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    return TROUBLE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="siamese", description="Verify faces or other identities by images.")
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    parser.set_defaults(run=_version_or_help(parser), command="")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    verify = _add(
        commands,
        "verify",
        _verify,
        "are these two images the same identity? (exit code 0: same, 1: different)",
    )
    verify.add_argument("image_a", type=Path, metavar="A")
    verify.add_argument("image_b", type=Path, metavar="B")
    verify.add_argument("--operating-point", metavar="NAME", help="such as fmr_1e-2; the model's default if not given")
    _add_model(verify)

    embed = _add(commands, "embed", _embed, "write the embeddings of images to an .npz file")
    embed.add_argument("inputs", nargs="+", type=Path, metavar="FOLDER_OR_FILE")
    embed.add_argument(
        "-o", "--output", required=True, type=Path, metavar="OUT.npz", help="arrays paths and embeddings"
    )
    _add_model(embed)

    evaluate = _add(commands, "evaluate", _evaluate, "measure a model on pairs of your own, or by one-shot tasks")
    protocol = evaluate.add_mutually_exclusive_group(required=True)
    protocol.add_argument("--pairs", type=Path, metavar="FILE", help="CSV path_a,path_b,same[,fold], or LFW's format")
    protocol.add_argument("--one-shot", type=int, metavar="N", help="N-way, over the folders of folders below --images")
    evaluate.add_argument(
        "--images", type=Path, metavar="ROOT", help="where paths start; the folder of FILE if not given"
    )
    _add_model(evaluate)

    show = _add(commands, "show", _show, "what a registered model is and what it was measured to do")
    _add_model(show)

    promote = _add(commands, "promote", _promote, "make a version of a model the champion, by hand")
    promote.add_argument("name", metavar="NAME")
    promote.add_argument("version", metavar="VERSION")

    rollback = _add(commands, "rollback", _rollback, "make the champion before the present one the champion again")
    rollback.add_argument("name", metavar="NAME")

    history = _add(commands, "history", _history, "the versions of a model, and why each is champion or is not")
    history.add_argument("name", metavar="NAME")

    retrain = _add(commands, "retrain", _retrain, "run the retraining pipeline, one run at a time")
    retrain.add_argument("-c", "--config", required=True, type=Path, metavar="FILE")
    retrain.add_argument("--wait", action="store_true", help="wait for a run in progress instead of declining")

    schedule = _add(commands, "schedule", _show_schedule, "retrain on a schedule, by systemd or cron")
    actions = schedule.add_subparsers(metavar="ACTION", required=True)
    install = actions.add_parser("install", help="write and start the user's systemd timer for this checkout")
    install.add_argument("-c", "--config", required=True, type=Path, metavar="FILE")
    install.add_argument("--at", default="*-*-* 03:00:00", metavar="CALENDAR", help="as in systemd.time(7)")
    install.set_defaults(run=_install_schedule)
    actions.add_parser("show", help="print the units, and the cron line for machines without systemd")
    actions.add_parser("remove", help="stop and remove the timer").set_defaults(run=_remove_schedule)

    check = _add(commands, "check-config", _check_config, "check a run configuration, strictly")
    check.add_argument("file", type=Path, metavar="FILE")

    _add(commands, "tracking-uri", _tracking_uri, "print MLflow's tracking URI of the ZenML stack")

    data = _add(commands, "data", _help_of_data, "make the embedded data set")
    sets = data.add_subparsers(metavar="SET", required=True)
    glyphs = sets.add_parser("glyphs", help="characters in matplotlib's typefaces, one folder a character")
    glyphs.add_argument("folder", type=Path, metavar="DIR")
    glyphs.add_argument("--characters", type=int, metavar="N", help="how many, drawn at random; all if not given")
    glyphs.add_argument("--seed", type=int, default=0)
    glyphs.set_defaults(run=_glyphs)
    return parser


def _add(commands: Any, name: str, run: Any, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.add_argument("--json", action="store_true", help="print JSON, for machines")
    parser.set_defaults(run=run, command=name)
    return parser


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        metavar="MODEL",
        help="models:/NAME@champion, models:/NAME/VERSION, or a folder; the only registered champion if not given",
    )


def _version_or_help(parser: argparse.ArgumentParser) -> Any:
    def run(options: argparse.Namespace) -> int:
        if options.version:
            from siamese_core import __version__

            print(__version__)
            return 0
        parser.print_help()
        return TROUBLE

    return run


def _verify(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from siamese_cli.models import load_verifier

    verifier = load_verifier(options.model)
    for image in (options.image_a, options.image_b):
        _readable(image)
    answer = verifier.verify(options.image_a, options.image_b, options.operating_point)
    if options.json:
        print(json.dumps(asdict(answer)))
    else:
        word, sign = ("same", "<") if answer.same else ("different", "≥")
        print(
            f"{word}: distance {answer.distance:.4f} {sign} {answer.threshold:.4f} ({answer.operating_point}), "
            f"probability of the same identity {answer.probability:.1%}"
        )
    return SAME if answer.same else DIFFERENT


def _readable(path: Path) -> None:
    """Names the file where `verify` alone would only give the reason."""
    from siamese_core.data.images import read_file
    from siamese_core.errors import UnreadableImageError

    try:
        read_file(path)
    except UnreadableImageError as error:
        raise UnreadableImageError(f"{path}: {error}") from None


def _embed(options: argparse.Namespace) -> int:
    from siamese_cli.embed import embed_files

    done, failed = embed_files(options.inputs, options.output, options.model)
    for path, reason in failed.items():
        print(f"skipped {path}: {reason}", file=sys.stderr)
    if options.json:
        print(json.dumps({"output": str(options.output), "embedded": done, "skipped": failed}))
    else:
        print(f"{done:,} embeddings in {options.output}" + (f", {len(failed):,} files skipped" if failed else ""))
    return 1 if failed else 0


def _evaluate(options: argparse.Namespace) -> int:
    from siamese_cli.evaluate import evaluate

    found = evaluate(options.model, options.pairs, options.one_shot, options.images)
    print(json.dumps(found.as_json()) if options.json else found.describe())
    return 0


def _show(options: argparse.Namespace) -> int:
    from siamese_cli.show import describe, facts

    found = facts(options.model)
    print(json.dumps(found.as_json()) if options.json else describe(found))
    return 0


def _promote(options: argparse.Namespace) -> int:
    from siamese_cli.models import promote_by_hand

    promote_by_hand(options.name, options.version)
    print(
        json.dumps({"champion": options.version})
        if options.json
        else f"{options.name}: version {options.version} is the champion"
    )
    return 0


def _rollback(options: argparse.Namespace) -> int:
    from siamese_cli.models import rollback

    before, now = rollback(options.name)
    words = f"{options.name}: version {now} is the champion again, instead of {before}"
    print(json.dumps({"champion": now, "was": before}) if options.json else words)
    return 0


def _history(options: argparse.Namespace) -> int:
    from siamese_cli.models import history

    found = history(options.name)
    if options.json:
        print(json.dumps(found))
        return 0
    for version in found:
        eer = f"EER {float(version['test_eer']):.2%}" if version["test_eer"] else ""
        print(
            f"{version['version']:>4}  {version['made']}  {version['aliases']:<22} {eer}\n      {version['decision']}"
        )
    return 0


def _retrain(options: argparse.Namespace) -> int:
    from infra.schedule import retrain

    return retrain(options.config, options.wait)


def _install_schedule(options: argparse.Namespace) -> int:
    from infra.schedule import install

    print(install(options.config, options.at))
    return 0


def _show_schedule(options: argparse.Namespace) -> int:
    from infra.schedule import show

    print(show())
    return 0


def _remove_schedule(options: argparse.Namespace) -> int:
    from infra.schedule import remove

    print(remove())
    return 0


def _check_config(options: argparse.Namespace) -> int:
    import siamese_integrations.quiet_libraries  # noqa: F401
    from pipelines.retraining import retraining_pipeline
    from siamese_core.errors import ConfigError
    from siamese_integrations.config_file import check_config

    try:
        # Its parameters are the training pipeline's, its steps those and one more.
        check_config(options.file, retraining_pipeline.entrypoint, retraining_pipeline.steps_by_name)
    except ConfigError as error:
        print(
            json.dumps({"ok": False, "error": str(error)}) if options.json else error,
            file=None if options.json else sys.stderr,
        )
        return 1
    print(json.dumps({"ok": True}) if options.json else f"{options.file}: good")
    return 0


def _tracking_uri(options: argparse.Namespace) -> int:
    from siamese_cli.tracking import tracking_uri

    uri = tracking_uri()
    print(json.dumps({"tracking_uri": uri}) if options.json else uri)
    return 0


def _glyphs(options: argparse.Namespace) -> int:
    from siamese_core.data.glyphs import make_glyphs

    characters, images = make_glyphs(options.folder, options.characters, options.seed)
    print(
        json.dumps({"characters": characters, "images": images})
        if options.json
        else f"{images:,} images of {characters:,} characters in {options.folder}"
    )
    return 0


def _help_of_data(options: argparse.Namespace) -> int:
    raise AssertionError("argparse asks for the data set")


if __name__ == "__main__":
    sys.exit(main())
