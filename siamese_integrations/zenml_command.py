"""`python -m siamese_integrations.zenml_command …`: ZenML's command, with failures of the disk in words from the start.

ZenML writes its configuration before it loads a pipeline, whose import would set up the output.
"""

import os

import siamese_integrations.quiet_libraries  # noqa: F401
from siamese_integrations.zenml_output import show_plainly

if __name__ == "__main__":
    os.environ["ZENML_ENABLE_RICH_TRACEBACK"] = "false"  # its hook would take the place of ours
    show_plainly()
    from zenml.cli.cli import cli

    cli(prog_name="zenml")
