from pathlib import Path

import pytest

from pipelines.training import training_pipeline
from siamese_core.errors import ConfigError
from siamese_integrations.config_file import check_config

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs").glob("*.yaml"))


def check(path: Path) -> None:
    check_config(path, training_pipeline.entrypoint, training_pipeline.steps_by_name)


def check_text(folder: Path, text: str) -> None:
    path = folder / "c.yaml"
    path.write_text(text)
    check(path)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_shipped_configuration_is_good(path: Path) -> None:
    check(path)


def test_there_are_shipped_configurations() -> None:
    assert {"demo.yaml", "omniglot.yaml", "faces.yaml"} <= {path.name for path in CONFIGS}


DATA = "parameters:\n  data_dir: x\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("paramters:\n  data_dir: x\n", "paramters is not a known key; did you mean 'parameters'"),
        (DATA + "  sede: 1\n", "parameters.sede is not a known key; did you mean 'seed'"),
        (DATA + "  training: {stpes: 5}\n", "parameters.training.stpes is not a known key; did you mean 'steps'"),
        (
            DATA + "  training: {augment: {rotaton: 5}}\n",
            "parameters.training.augment.rotaton is not a known key; did you mean 'rotation'",
        ),
        (DATA + "  training: {steps: many}\n", r"parameters.training.steps: .* \(it is 'many'\)"),
        (DATA + "  training: {steps: 0}\n", "parameters.training.steps is 0, but must be greater than 0"),
        (DATA + "  training: {mining: hardest}\n", "parameters.training.mining: .*semi_hard"),
        (DATA + "  images: {size: 4}\n", "parameters.images.size is 4, but must be between 8 and 1024"),
        (DATA + "  split: {test: 0.6, calibration: 0.6}\n", "must be below 1"),
        (DATA + "  calibration: {operating_point: fmr_1e-5}\n", "must be one of eer, accuracy, fmr_1e-1"),
        ("parameters:\n  seed: 1\n", "parameters.data_dir is missing"),
        (DATA + "enable_cach: true\n", "enable_cach is not a known key; did you mean 'enable_cache'"),
        (DATA + "enable_cache: true\n", "new images would go unnoticed"),
        (DATA + "steps: {trainn: {enable_cache: false}}\n", "steps.trainn is not a known key; did you mean 'train'"),
        (DATA + "steps: {train: {enable_cach: false}}\n", "steps.train.enable_cach is not a known key"),
        (DATA + "steps: [1]\n", "steps must be a mapping"),
        ("- a list\n", "must be a mapping of keys to values"),
        ("a: [unclosed\n", "is not valid YAML"),
    ],
)
def test_mistakes_are_named_with_the_right_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_text(tmp_path, text)


def test_all_mistakes_are_listed_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"3 problems:\n  - .*sede.*\n  - .*sise.*\n  - .*trian"):
        check_text(tmp_path, DATA + "  sede: 1\n  images: {sise: 32}\nsteps: {trian: {}}\n")


def test_numbers_as_yaml_reads_them_are_accepted(tmp_path: Path) -> None:
    check_text(tmp_path, DATA + "  training: {learning_rate: 1e-3}\n  calibration: {fmr_targets: [0.01, 0.001]}\n")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml cannot be read"):
        check(tmp_path / "nowhere.yaml")
