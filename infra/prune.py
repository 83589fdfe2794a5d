"""The checkout's part of `siamese prune`, which needs ZenML. Prints one line of JSON.

`python -m infra.prune KEEP` removes what may go of earlier runs; with `--dry-run` as well it only lists it.
"""

import json
import os
import sys
from pathlib import Path

import siamese_integrations.quiet_libraries  # noqa: F401
from siamese_integrations.retention import carry_out, plan
from siamese_integrations.zenml_output import show_plainly


def main(keep: int, dry_run: bool) -> None:
    """Plan, and remove unless it is a dry run."""
    os.chdir(Path(__file__).resolve().parents[1])  # ZenML finds the stack of this folder
    removals = plan(keep)
    result = {"removed": removals.lines(), "bytes": removals.bytes(), "dry_run": dry_run}
    if not dry_run:
        carry_out(removals)
    print(json.dumps(result))


if __name__ == "__main__":
    show_plainly()
    main(int(sys.argv[1]), "--dry-run" in sys.argv)
