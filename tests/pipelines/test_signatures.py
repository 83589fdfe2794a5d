from inspect import signature

from pipelines.retraining import retraining_pipeline
from pipelines.training import training_pipeline


def test_both_pipelines_take_the_same_parameters_with_the_same_defaults() -> None:
    """ZenML reads a pipeline's signature as its schema."""
    training, retraining = signature(training_pipeline.entrypoint), signature(retraining_pipeline.entrypoint)
    assert training.parameters == retraining.parameters
    assert {"data_dir", "model_name", "split_file", "seed", "promotion"} <= training.parameters.keys()


def test_each_pipeline_is_found_under_its_own_name() -> None:
    for pipeline in (training_pipeline, retraining_pipeline):
        source = pipeline.resolve()
        assert source.import_path == f"pipelines.{pipeline.name.removesuffix('_pipeline')}.{pipeline.name}"
        assert pipeline.required_parameters == ["data_dir"]
