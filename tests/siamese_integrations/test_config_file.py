from contextlib import suppress
from pathlib import Path
from time import process_time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.training import training_pipeline
from siamese_core.errors import ConfigError
from siamese_integrations.config_file import check_config

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs").glob("*.yaml"))


def check(path: Path) -> None:
    check_config(path, training_pipeline.entrypoint, training_pipeline.steps_by_name)


def check_text(folder: Path, text: str) -> None:
    path = folder / "c.yaml"
    path.write_text(text, encoding="utf-8")
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
        (
            DATA + "  training: {steps: many}\n",
            "parameters.training.steps is 'many', but must be a whole number between 1 and 10,000,000",
        ),
        (DATA + "  training: {steps: 0}\n", "parameters.training.steps is 0, but must be between 1 and 10,000,000"),
        (
            DATA + "  training: {mining: hardest}\n",
            "parameters.training.mining is 'hardest', but must be one of semi_hard, batch_hard",
        ),
        (
            DATA + "  training: {steps: 1.0e+14}\n",
            "parameters.training.steps is 100000000000000.0, but must be between",
        ),
        (
            DATA + "  training: {learning_rate: .inf}\n",
            "parameters.training.learning_rate is inf, but must be a number",
        ),
        (DATA + "  training: {margin: .nan}\n", "parameters.training.margin is nan, but must be a number above 0"),
        (DATA + "  training: {steps: true}\n", "parameters.training.steps is True, but must be a whole number"),
        (DATA + "  seed: true\n", "parameters.seed is True, but must be a whole number between 0"),
        (DATA + "  seed: -1\n", "parameters.seed is -1, but must be between 0 and 4,294,967,295"),
        (
            DATA + "  model_name: team/a:b\n",
            "parameters.model_name is 'team/a:b', but must be a name of .* without / :",
        ),
        (DATA + '  split_file: "a\\0b"\n', "parameters.split_file is 'a.x00b', but must be a path"),
        (DATA + '  encoder: {weights_file: "a\\0b"}\n', "parameters.encoder.weights_file is 'a.x00b', but must be"),
        (DATA + "  images: {size: 4}\n", "parameters.images.size is 4, but must be between 8 and 1024"),
        (DATA + "  split: {test: 0.6, calibration: 0.6}\n", "must be below 1"),
        (DATA + "  calibration: {operating_point: fmr_1e-5}\n", "must be one of eer, accuracy, fmr_1e-1"),
        ("parameters:\n  seed: 1\n", "parameters.data_dir is missing"),
        (DATA + "enable_cach: true\n", "enable_cach is not a known key; did you mean 'enable_cache'"),
        (DATA + "enable_cache: true\n", "new images would go unnoticed"),
        (DATA + "steps: {trainn: {enable_cache: false}}\n", "steps.trainn is not a known key; did you mean 'train'"),
        (DATA + "steps: {train: {enable_cach: false}}\n", "steps.train.enable_cach is not a known key"),
        (DATA + "steps: [1]\n", r"steps is \[1\], but must be a mapping"),
        (DATA + "steps: {train: 3}\n", "steps.train is 3, but must be a mapping"),
        (DATA + "enable_step_logs: perhaps\n", "enable_step_logs is 'perhaps', but must be true or false"),
        (DATA + "3: true\n", "  - 3 is not a known key"),
        ("parameters: 3\n", "parameters is 3, but must be a mapping"),
        ("", "parameters is missing"),
        (DATA + "  images: {size: 16, crop: 1, size: 32}\n", "size stands twice in one mapping, at last in line 3"),
        (DATA + DATA, "parameters stands twice in one mapping, at last in line 3"),
        ("- a list\n", "must be a mapping of keys to values"),
        ("a: [unclosed\n", "is not valid YAML"),
        ("a: 2024-99-99\n", "is not valid YAML: month must be"),
        ("a: !!timestamp x\n", "is not valid YAML"),
        ("a: !!python/object:os.system x\n", "is not valid YAML"),
        ("a: 1\n---\nb: 2\n", "is not valid YAML: expected a single document"),
        ("[" * 5000, "is nested too deeply"),
        ("a: &a [*a]\n", "has aliases that stand for more than 100,000 values, or for themselves"),
    ],
)
def test_mistakes_are_named_with_the_right_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_text(tmp_path, text)


def test_all_mistakes_are_listed_at_once(tmp_path: Path) -> None:
    expected = r"5 problems:\n  - size .*twice.*\n  - .*sise.*\n  - .*training.loss.*\n  - .*sede.*\n  - .*trian"
    with pytest.raises(ConfigError, match=expected):
        check_text(
            tmp_path,
            DATA + "  sede: 1\n  images: {sise: 32, size: 16, size: 32}\n"
            "  training: {mining: batch_all, loss: selectively_contrastive}\nsteps: {trian: {}}\n",
        )


def test_an_alias_bomb_is_refused_at_once(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 60))]
    began = process_time()
    long = f"extra: {{a: &a {'x' * 100_000}, b: [{', '.join(['*a'] * 200)}]}}\n"  # 20 MB for ZenML's records
    with pytest.raises(ConfigError, match="has aliases that stand for more than 100,000 values"):
        check_text(tmp_path, DATA + long)
    with pytest.raises(ConfigError, match="has aliases that stand for more than 100,000 values"):
        check_text(tmp_path, "\n".join(lines))
    assert process_time() - began < 5


def test_text_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes("parameters: {data_dir: Gesichter_ä}".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"is not UTF-8 text: .* at byte 33"):
        check(path)


def test_anchors_and_merges_are_good(tmp_path: Path) -> None:
    text = "steps:\n  train: &train {enable_cache: false}\n  split: {<<: *train, enable_cache: true}\n  ingest:\n"
    check_text(tmp_path, DATA + text)


@settings(max_examples=25)
@given(keys=st.recursive(st.none() | st.integers() | st.text(), lambda below: st.dictionaries(st.text(), below)))
def test_any_content_is_good_or_a_config_error(keys: object, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("any")
    with suppress(ConfigError):
        check_text(folder, yaml.safe_dump({"parameters": {"data_dir": "x", "training": keys}}))


def test_numbers_as_yaml_reads_them_are_accepted(tmp_path: Path) -> None:
    check_text(tmp_path, DATA + "  training: {learning_rate: 1e-3}\n  calibration: {fmr_targets: [0.01, 0.001]}\n")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml cannot be read"):
        check(tmp_path / "nowhere.yaml")


LOCAL = "steps: {train: {settings: {step_operator.local_process: {env: {%s}}}}}\n"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (LOCAL % "HF_TOKEN: tr0ub4dor", "steps.train.settings.step_operator.local_process.env.HF_TOKEN"),
        (LOCAL % "MLFLOW_TRACKING_URI: 'http://ada:tr0ub4dor@host'", "env.MLFLOW_TRACKING_URI"),
        (LOCAL % "N: 1, AWS_SECRET_ACCESS_KEY: tr0ub4dor", "env.AWS_SECRET_ACCESS_KEY"),
        ("environment: {DB_PASSWORD: tr0ub4dor}\n", "environment.DB_PASSWORD"),
        ("settings: {docker: {environment: {PIP: {API_KEY: tr0ub4dor}}}}\n", "environment.PIP.API_KEY"),
    ],
)
def test_a_credential_in_clear_text_is_refused_and_not_repeated(tmp_path: Path, text: str, place: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_text(tmp_path, DATA + text)
    assert f"{place} is a credential in clear text" in str(caught.value)
    assert "tr0ub4dor" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        LOCAL % "N: 1, OMP_NUM_THREADS: '2', URL: 'http://host:80'",
        LOCAL % "HF_TOKEN: '{{hub.token}}'",
        "settings: {orchestrator.kubernetes: {pod_settings: {image_pull_secrets: [registry]}}}\n",
        "secrets: [hub_token]\n",
    ],
)
def test_what_names_a_secret_or_is_none_is_good(tmp_path: Path, text: str) -> None:
    check_text(tmp_path, DATA + text)
