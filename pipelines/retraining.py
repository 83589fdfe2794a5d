"""The same again on a schedule: new data in, a new version only where something has changed."""

from functools import wraps
from typing import Any

from pipelines.training import training_pipeline
from siamese_integrations.zenml_pipeline import checked_pipeline
from steps.conclude import conclude


@checked_pipeline(*training_pipeline.steps_by_name, "conclude", prunes=True)
@wraps(training_pipeline.entrypoint, assigned=())  # ZenML reads the parameters of a configuration off the signature
def retraining_pipeline(**parameters: Any) -> None:
    """Read what is new, train, and promote the result only if it is not worse.

    The parameters are those of `training_pipeline`. With an unchanged folder and unchanged code every step after ingest
    comes from the cache: nothing is trained and no version is made, and the run says so. Old runs are removed before
    anything runs: a full disk gets room first.
    """
    version, manifest = training_pipeline(**parameters)
    conclude(version, manifest, parameters["model_name"])
