from collections.abc import Iterator
from inspect import signature

import pytest
from zenml.utils import source_utils

from pipelines.retraining import retraining_pipeline
from pipelines.training import training_pipeline
from tests.conftest import REPOSITORY


def test_both_pipelines_take_the_same_parameters_with_the_same_defaults() -> None:
    """ZenML reads a pipeline's signature as its schema."""
    training, retraining = signature(training_pipeline.entrypoint), signature(retraining_pipeline.entrypoint)
    assert training.parameters == retraining.parameters
    assert {"data_dir", "model_name", "split_file", "seed", "promotion"} <= training.parameters.keys()


@pytest.fixture
def source_root() -> Iterator[None]:
    """The main module of a parallel test worker has no file that ZenML could start from."""
    source_utils.set_custom_source_root(str(REPOSITORY))
    yield
    source_utils.set_custom_source_root(None)


@pytest.mark.usefixtures("source_root")
def test_each_pipeline_is_found_under_its_own_name() -> None:
    for pipeline in (training_pipeline, retraining_pipeline):
        source = pipeline.resolve()
        assert source.import_path == f"pipelines.{pipeline.name.removesuffix('_pipeline')}.{pipeline.name}"
        assert pipeline.required_parameters == ["data_dir"]
