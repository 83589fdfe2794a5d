from inspect import signature

from pipelines.retraining import retraining_pipeline
from pipelines.training import training_pipeline
from pipelines.wiring import train_and_register


def test_both_pipelines_take_what_the_wiring_takes_with_the_same_defaults() -> None:
    """ZenML reads a pipeline's signature as its schema, so each spells its parameters out."""
    training, retraining = signature(training_pipeline.entrypoint), signature(retraining_pipeline.entrypoint)
    assert training.parameters == retraining.parameters
    assert list(training.parameters) == list(signature(train_and_register).parameters)
