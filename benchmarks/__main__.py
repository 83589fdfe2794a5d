"""Runs benchmarks and prints a line for each comparison: `python -m benchmarks [NAME …] [--write FILE]`."""

import argparse
import datetime
import importlib
import os
import shlex
import sys
from pathlib import Path

from benchmarks.measure import HEAD, Line, machine

NAMES = ("ingest", "mining", "roc", "search", "training")


def main(arguments: list[str]) -> None:
    options = _parser().parse_args(arguments)
    about = _about(arguments, options.note)
    print("\n".join(about), flush=True)
    results: dict[str, list[Line]] = {}
    for name in options.names or NAMES:
        results[name] = []
        for line in importlib.import_module(f"benchmarks.{name}").lines(options.quick):
            print(line.text(), flush=True)
            results[name].append(line)
        if options.write:  # after each, so that a run that is cut short leaves what it has
            options.write.write_text(_page(about, results), encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Ours against the peers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(NAMES)} (all if none is named)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that all runs, measures nothing")
    parser.add_argument("--write", type=Path, metavar="FILE", help="also write a page of tables (Markdown)")
    parser.add_argument("--note", default="", help="a remark for the page, such as what else ran meanwhile")
    return parser


def _about(arguments: list[str], note: str) -> list[str]:
    threads = os.environ.get("OMP_NUM_THREADS")
    command = f"{f'OMP_NUM_THREADS={threads} ' if threads else ''}python -m benchmarks {shlex.join(arguments)}"
    today = datetime.datetime.now(datetime.UTC).date()
    return [f"Date: {today}{f' ({note})' if note else ''}", f"Machine: {machine()}", f"Command: `{command.strip()}`"]


def _page(about: list[str], results: dict[str, list[Line]]) -> str:
    head = [
        "# Benchmarks",
        "",
        "Ours against the peer, measured in one run, each side in a process of its own. A ratio is peer / ours:",
        "above 1, ours is faster or smaller. Miners show the fastest of several calls, training the median of",
        "several rounds, ingest one run. A peak is the most memory in use at once above that before the work. A",
        "dash is a side without a result; the settings say why.",
        "",
        *(f"- {fact}" for fact in about),
    ]
    return "\n".join([*head, *(text for name, lines in results.items() for text in _table(name, lines)), ""])


def _table(name: str, lines: list[Line]) -> list[str]:
    module = importlib.import_module(f"benchmarks.{name}")
    rows = [HEAD, ("---",) * len(HEAD), *(line.cells() for line in lines)]
    return ["", f"## {name}", "", (module.__doc__ or "").strip(), "", *("| " + " | ".join(row) + " |" for row in rows)]


if __name__ == "__main__":
    main(sys.argv[1:])
