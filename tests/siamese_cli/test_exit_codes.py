"""The table of exit codes: `verify` ends with 0 same, 1 different, 2 anything else, whatever happens."""

import json
import os
import re
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from siamese_cli.main import main
from siamese_core.calibration.operating_points import Calibration, calibrate
from siamese_core.checksums import write_checksums
from siamese_core.config import CalibrationConfig, EncoderConfig, ImageConfig
from siamese_core.metrics.pairs import PairDistances
from siamese_core.network.encoders import make_encoder
from siamese_core.network.trained import TrainedEncoder
from siamese_core.verifier import Verifier
from tests.conftest import PYPROJECT, REPOSITORY

SAME, DIFFERENT, TROUBLE = 0, 1, 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with random weights, and three pictures beside it."""
    folder = tmp_path_factory.mktemp("verify")
    encoder, images = EncoderConfig(width=8, embedding_dim=8), ImageConfig(size=16, color="grey")
    history = [{"step": 1, "validation_eer": 0.5}]
    trained = TrainedEncoder(make_encoder(encoder, 1, 0).state_dict(), encoder, images, history, 1, [])
    rng = np.random.default_rng(0)
    identities = np.arange(400) % 40
    distances = PairDistances(
        genuine=rng.uniform(0, 1e-3, 400),
        impostor=rng.uniform(1e-4, 2e-3, 4000),
        genuine_identity=identities,
        impostor_identities=np.stack([np.arange(4000) % 40, (np.arange(4000) + 1 + np.arange(4000) // 40) % 40], 1),
        identities=40,
    )
    Verifier(trained, calibrate(distances, CalibrationConfig(bootstrap=20), 400, 0)).save(folder / "model")
    for name, pixels in {"dark": np.zeros((16, 16)), "noise": rng.integers(0, 256, (16, 16))}.items():
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{name}.png")
    (folder / "text.png").write_text("no image")
    return folder


@pytest.fixture
def broken(folder: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(folder / "model", tmp_path / "broken"))


def verify(folder: Path, *options: object, model: Path | str | None = None, second: str = "dark.png") -> int:
    images = [str(folder / "dark.png"), str(folder / second)]
    return main(["verify", *images, "--model", str(model or folder / "model"), *map(str, options)])


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def fill(value: float) -> Callable[[Path], None]:
    """A breaker that makes every weight of the last tensor but one this value."""

    def spoil(model: Path) -> None:
        state = load_file(model / "encoder.safetensors")
        weights = {name: value for name, value in state.items() if value.is_floating_point()}
        for tensor in weights.values() if np.isfinite(value) else [list(weights.values())[-2]]:
            tensor.fill_(value)
        save_file(state, model / "encoder.safetensors")

    return spoil


def write_thresholds(number: str) -> Callable[[Path], None]:
    def spoil(model: Path) -> None:
        path = model / "calibration.json"
        path.write_text(re.sub(r'"threshold": [^,]*', f'"threshold": {number}', path.read_text()))

    return spoil


BREAKS: dict[str, Callable[[Path], object]] = {
    "no weights": lambda model: (model / "encoder.safetensors").unlink(),
    "cut weights": lambda model: cut(model / "encoder.safetensors"),
    "no thresholds": lambda model: (model / "calibration.json").unlink(),
    "cut thresholds": lambda model: cut(model / "calibration.json"),
    "empty thresholds": lambda model: (model / "calibration.json").write_text("{}"),
    "another format": lambda model: (model / "calibration.json").write_text('{"format": 99}'),
    "another network": lambda model: (model / "encoder.json").write_text(
        (model / "encoder.json").read_text().replace('"width": 8', '"width": 16')
    ),
    "no configuration": lambda model: (model / "encoder.json").write_text("[]"),
    "NaN weights": fill(float("nan")),
    "infinite weights": fill(float("inf")),
    "weights that overflow": fill(3e38),
    "weights of zero": fill(0),
    "NaN thresholds": write_thresholds("NaN"),
    "infinite thresholds": write_thresholds("-Infinity"),
    "thresholds beyond floats": write_thresholds("1e999"),
    "a folder for a file": lambda model: ((model / "encoder.json").unlink(), (model / "encoder.json").mkdir()),
}


def test_same_and_different(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(folder) == SAME
    assert verify(folder, second="noise.png") == DIFFERENT
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == ["same", "different"]


def test_without_a_default_there_is_no_answer_until_a_point_is_named(
    broken: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calibration = Calibration.load(broken)
    replace(calibration, default=None, refused={"fmr_1e-2": "It needs more identities."}).save(broken)
    write_checksums(broken)
    assert verify(folder, model=broken) == TROUBLE
    out, err = capsys.readouterr()
    assert out == ""
    assert "There is no default operating point, because fmr_1e-2 was refused: It needs more identities." in err
    assert "Name one of eer, accuracy" in err
    assert verify(folder, "--operating-point", "eer", model=broken) == SAME
    assert capsys.readouterr().out.startswith("same: ")
    for name in ("a", "b"):
        shutil.copy(folder / "dark.png", broken.parent / f"{name}.png")
    pairs = ["--pairs", str(broken.parent / "pairs.csv")]
    Path(pairs[1]).write_text("path_a,path_b,same\na.png,b.png,1\nb.png,noise.png,0\n")
    shutil.copy(folder / "noise.png", broken.parent)
    assert main(["evaluate", *pairs, "--model", str(broken)]) == SAME
    table = capsys.readouterr().out
    assert "\n  There is no default operating point, because fmr_1e-2 was refused" in table
    assert "*" not in table
    assert main(["evaluate", *pairs, "--model", str(folder / "model")]) == SAME
    table = capsys.readouterr().out
    assert "\n  * The default operating point is fmr_1e-2.\n" in table
    assert "\n* fmr_1e-2 " in table


@pytest.mark.parametrize("name", BREAKS)
def test_a_damaged_model_is_trouble_in_one_line(
    broken: Path, folder: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    BREAKS[name](broken)
    write_checksums(broken)  # as if it had been written like this: what reads the files must say it
    assert verify(folder, model=broken) == TROUBLE
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("siamese verify: ")
    assert len(err.splitlines()) == 1, err


HOSTILE = "\x1b[2J\nsiamese verify: same.png"


def test_a_name_cannot_write_to_the_terminal(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / HOSTILE).write_text("no image")
    shutil.copy(folder / "dark.png", tmp_path / "in" / f"{HOSTILE}.png")
    assert verify(folder, second=str(tmp_path / "in" / HOSTILE)) == TROUBLE
    model = ["--model", str(folder / "model")]
    assert main(["embed", str(tmp_path / "in"), "-o", str(tmp_path / HOSTILE), *model]) == 1
    assert (tmp_path / HOSTILE).stat().st_mode & 0o077 == 0
    assert main(["check-config", str(tmp_path / "in" / HOSTILE)]) in (1, TROUBLE)
    assert main(["show", *model, HOSTILE]) == TROUBLE
    out, err = capfd.readouterr()
    assert "\\x1b[2J" in out
    assert err.count("\\x1b[2J\\nsiamese verify: same.png") >= 4
    assert not any(line.startswith("siamese verify: same") for line in err.splitlines())
    assert not {sign for sign in out + err if unicodedata.category(sign) == "Cc"} - {"\n", "\t"}


@pytest.mark.parametrize("debug", ["", "1"])
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_password_of_the_records_is_never_shown(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, options: list[str], debug: str
) -> None:
    monkeypatch.setenv("SIAMESE_DEBUG", debug)
    for uri in ("http://ada:tr0ub4dor@127.0.0.1:9", "postgresql://ada:tr0ub4dor@127.0.0.1:9/mlflow"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        for command in (["show", "--model", "models:/people"], ["history", "people"]):
            assert main([*command, *options]) == TROUBLE
    out, err = capfd.readouterr()
    assert "127.0.0.1" in err
    assert "tr0ub4dor" not in out + err


def test_a_model_that_was_changed_answers_nothing(
    broken: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calibration = broken / "calibration.json"
    calibration.write_text(re.sub(r'"threshold": [^,]+', '"threshold": 99', calibration.read_text()))
    assert verify(folder, model=broken) == TROUBLE
    out, err = capsys.readouterr()
    assert out == ""
    assert f"{calibration} has changed since the model was written" in err
    (broken / "SHA256SUMS").unlink()
    assert verify(folder, model=broken) == SAME
    assert "has no SHA256SUMS" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Missing argument"),
        (["a.png"], "Missing argument"),
        (["a.png", "b.png", "c.png"], "unexpected extra argument"),
        (["--modell", "x", "a.png", "b.png"], "--model"),
        (["a.png", "b.png", "--model"], "requires an argument"),
    ],
)
def test_wrong_usage_is_trouble(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", *arguments]) == TROUBLE
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err


@pytest.mark.parametrize(
    ("second", "options", "words"),
    [
        ("text.png", [], "text.png: not an image"),
        ("nobody.png", [], "nobody.png: no such file"),
        (".", [], "a folder, not a file"),
        ("dark.png", ["--operating-point", "fmr_1e-9"], "No operating point 'fmr_1e-9'"),
    ],
)
def test_a_question_without_an_answer_is_trouble(
    folder: Path, second: str, options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(folder, *options, second=second) == TROUBLE
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:9", "sqlite:////nowhere/mlflow.db", "nonsense://x"], ids=["dead", "absent", "nonsense"]
)
def test_a_registry_that_does_not_answer_is_trouble(
    folder: Path, uri: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert verify(folder, model="people") == TROUBLE
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "error", [RuntimeError("lightning"), MemoryError(), KeyboardInterrupt(), SystemExit(1), OSError()]
)
def test_an_exception_that_nobody_expected_is_trouble(
    folder: Path, error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(Verifier, "verify", fail)
    assert verify(folder) == TROUBLE
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    monkeypatch.setenv("SIAMESE_DEBUG", "1")
    assert verify(folder) == TROUBLE
    assert "Traceback" in capsys.readouterr().err


def test_json_is_one_document_for_answers_and_errors(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(folder, "--json") == SAME
    assert json.loads(capsys.readouterr().out)["same"] is True
    assert verify(folder, "--json", second="text.png") == TROUBLE
    assert "not an image" in json.loads(capsys.readouterr().out)["error"]
    assert main(["verify", "--json"]) == TROUBLE
    assert "Missing argument" in json.loads(capsys.readouterr().out)["error"]


def test_nobody_reads_the_answer(folder: Path) -> None:
    """A closed pipe and a full disk are neither `same` nor `different`."""
    images = [str(folder / "dark.png"), str(folder / "noise.png")]
    command = [sys.executable, "-m", "siamese_cli", "verify", *images, "--model", str(folder / "model")]
    with Path("/dev/full").open("w") as full:
        assert subprocess.run(command, stdout=full, stderr=subprocess.DEVNULL).returncode == TROUBLE
    reader, writer = os.pipe()
    os.close(reader)
    assert subprocess.run(command, stdout=writer, stderr=subprocess.DEVNULL).returncode == TROUBLE
    os.close(writer)


# Faults that end a process before our code can answer for it, in the first library that it imports.
FAULTS = {
    "os._exit": "import os; os._exit(1)",
    "exit of C": "import ctypes; ctypes.CDLL(None).exit(1)",
    "exit of Python": "raise SystemExit(1)",
    "import": "raise ImportError('libgomp.so.1: cannot open shared object file')",
    "memory": "raise MemoryError",
    "interrupt": "import os, signal, time; os.kill(os.getppid(), signal.SIGINT); time.sleep(60)",
    "terminated": "import os, signal, time; os.kill(os.getppid(), signal.SIGTERM); time.sleep(60)",
    "killed": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "closed pipe": "import os, signal; signal.signal(13, signal.SIG_DFL); os.kill(os.getpid(), signal.SIGPIPE)",
    "crash": "import os; os.abort()",
    "at the end": "import atexit, os; atexit.register(os._exit, 1); raise ImportError",
    "in a thread": "import os, threading; thread = threading.Thread(target=os._exit, args=(1,)); thread.start(); "
    "thread.join()",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_process_that_ends_by_itself_is_trouble(fault: str, tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text(FAULTS[fault])
    command = [sys.executable, "-m", "siamese_cli", "verify", "--json", "a.png", "b.png"]
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{REPOSITORY}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == TROUBLE, done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["error"]


def test_the_installed_command_starts_there() -> None:
    assert PYPROJECT["project"]["scripts"] == {"siamese": "siamese_cli.entry:main"}


def test_the_command_gives_its_own_code(folder: Path) -> None:
    for second, code in (("dark.png", SAME), ("noise.png", DIFFERENT), ("text.png", TROUBLE)):
        images = [str(folder / "dark.png"), str(folder / second)]
        command = [sys.executable, "-m", "siamese_cli", "verify", *images, "--model", str(folder / "model")]
        assert subprocess.run(command, capture_output=True).returncode == code


def test_a_misspelt_command_is_suggested(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verfy", "a", "b"]) == TROUBLE
    assert "verify" in capsys.readouterr().err
