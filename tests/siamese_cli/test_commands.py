"""The `siamese` commands and the registered model, from another folder than the checkout."""

import base64
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from siamese_cli.main import main
from tests.conftest import QUICK, Project


@pytest.fixture(scope="module")
def model(project: Project, glyphs: Path) -> str:
    """A champion; the URI that names it.

    Its default is the EER: the gate refuses a target, which 12 calibration identities do not keep on others.
    """
    parameters = QUICK | {"calibration": {"bootstrap": 100, "operating_point": "eer"}}
    done = project.pipeline(project.write_config("cli.yaml", data_dir=str(glyphs), model_name="cli", **parameters))
    assert done.returncode == 0, done.stdout + done.stderr
    return "models:/cli@champion"


@pytest.fixture(scope="module")
def tracking(project: Project, model: str) -> str:
    return project.run("siamese", "tracking-uri", folder=Path("/")).stdout.strip()


@pytest.fixture(scope="module")
def pictures(glyphs: Path) -> list[Path]:
    folders = sorted(glyphs.iterdir())
    return [*sorted(folders[0].glob("*.png"))[:2], next(folders[1].glob("*.png"))]


def test_the_tracking_uri_is_found_from_any_folder(tracking: str) -> None:
    assert tracking.startswith("sqlite:///")
    assert Path(tracking.removeprefix("sqlite:///")).is_file()


def test_what_a_run_writes_is_for_its_user_alone(project: Project, model: str) -> None:
    store = Path(os.environ["ZENML_CONFIG_PATH"]) / "local_stores"
    # MLflow copies this project's code with its permissions, which is nobody's secret.
    files = [path for path in store.rglob("*") if path.is_file() and "code" not in path.relative_to(store).parts]
    files = [path for path in files if path.suffix != ".py"]
    assert {path.suffix for path in files} >= {".u8", ".safetensors", ".html", ".parquet", ".db"}
    assert [path for path in files if path.stat().st_mode & 0o077] == []


def test_verify_answers_in_words_json_and_exit_codes(
    project: Project, model: str, tracking: str, pictures: list[Path], tmp_path: Path
) -> None:
    def verify(*arguments: str) -> subprocess.CompletedProcess[str]:
        return project.run(
            "siamese", "verify", "--model", model, *arguments, folder=tmp_path, MLFLOW_TRACKING_URI=tracking
        )

    same = verify(str(pictures[0]), str(pictures[0]))
    assert same.returncode == 0, same.stderr
    assert same.stdout.startswith("same: distance 0.0000 <")
    assert same.stderr == ""
    answer = verify("--json", str(pictures[0]), str(pictures[2]))
    found = json.loads(answer.stdout)
    assert answer.returncode == (0 if found["same"] else 1)
    assert found["same"] == (found["distance"] < found["threshold"])
    other = verify("--json", "--operating-point", "fmr_1e-1", str(pictures[0]), str(pictures[2]))
    assert json.loads(other.stdout)["operating_point"] == "fmr_1e-1"
    missing = verify(str(pictures[0]), "nowhere.png")
    assert missing.returncode == 2
    assert "nowhere.png: no such file" in missing.stderr
    assert "Traceback" not in missing.stderr


def test_embed_writes_what_was_readable_and_says_what_was_not(
    project: Project, model: str, tracking: str, pictures: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "deep" / "a.png").write_bytes(pictures[0].read_bytes())
    (tmp_path / "in" / "bad.png").write_text("no")
    command = ["siamese", "embed", "--model", model, "in", str(pictures[1]), "-o", "out.npz"]
    done = project.run(*command, folder=tmp_path, MLFLOW_TRACKING_URI=tracking)
    assert done.returncode == 1, done.stderr
    assert "skipped in/bad.png: not an image" in done.stderr
    with np.load(tmp_path / "out.npz") as archive:
        assert archive["paths"].tolist() == ["in/deep/a.png", str(pictures[1])]
        assert archive["embeddings"].shape == (2, 16)
        np.testing.assert_allclose(np.linalg.norm(archive["embeddings"], axis=1), 1, atol=1e-5)


@pytest.fixture
def people(glyphs: Path, tmp_path: Path) -> Path:
    """Four characters as LFW's people: NAME/NAME_000i.jpg, and a list of pairs of them with two folds."""
    for number, folder in enumerate(sorted(glyphs.iterdir())[:4]):
        (tmp_path / "people" / f"P{number}").mkdir(parents=True)
        for image, path in enumerate(sorted(folder.glob("*.png"))[:3], start=1):
            Image.open(path).convert("L").save(tmp_path / "people" / f"P{number}" / f"P{number}_{image:04d}.jpg")
    files = sorted(path.relative_to(tmp_path).as_posix() for path in (tmp_path / "people").rglob("*.jpg"))
    rows = [(a, b, a.split("/")[1] == b.split("/")[1]) for a, b in itertools.combinations(files, 2)]
    lines = [f"{a},{b},{same},{number % 2}" for number, (a, b, same) in enumerate(rows)]
    (tmp_path / "pairs.csv").write_text("\n".join(["path_a,path_b,same,fold", *lines, lines[0]]))
    return tmp_path


def test_evaluate_agrees_with_the_embeddings_of_its_images(
    project: Project, model: str, tracking: str, people: Path
) -> None:
    def siamese(*command: str) -> subprocess.CompletedProcess[str]:
        arguments = [*command, "--json", "--model", model]
        return project.run("siamese", *arguments, folder=people.parent, MLFLOW_TRACKING_URI=tracking)

    done = siamese("evaluate", "--pairs", str(people / "pairs.csv"))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert "embed: 12 files" in done.stderr
    assert (found["genuine_pairs"], found["impostor_pairs"], found["duplicates"]) == (12, 54, 1)
    assert (found["images"], found["identities"]) == (12, 4)
    embedded = siamese("embed", str(people / "people"), "-o", str(people / "out.npz"))
    assert json.loads(embedded.stdout)["embedded"] == 12
    with np.load(people / "out.npz") as archive:
        names = [Path(path).parent.name for path in archive["paths"]]
        vectors = archive["embeddings"].astype(float)
    pairs = list(itertools.combinations(range(12), 2))
    distance = np.array([((vectors[a] - vectors[b]) ** 2).sum() for a, b in pairs])
    same = np.array([names[a] == names[b] for a, b in pairs])
    assert found["auc"] == pytest.approx((distance[same][:, None] < distance[~same]).mean())
    for point in found["points"].values():
        assert point["fmr"]["errors"] == (distance[~same] < point["threshold"]).sum()
        assert point["fnmr"]["errors"] == (distance[same] >= point["threshold"]).sum()
    assert list(found["k_fold"]["folds"]) == ["0", "1"]


def test_evaluate_prints_a_table_of_lfw_pairs(project: Project, model: str, tracking: str, people: Path) -> None:
    lines = ["2", "P0\t1\t2", "P1\t1\t3", "P0\t1\tP1\t1", "P2\t2\tP3\t3", ""]
    (people / "lfw.txt").write_text("\n".join(lines))
    command = ["siamese", "evaluate", "--model", model, "--pairs", "lfw.txt"]
    done = project.run(*command, "--images", "people", folder=people, MLFLOW_TRACKING_URI=tracking)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("lfw.txt: 2 genuine and 2 impostor pairs of 6 images of 4 identities\n")
    assert "* eer" in done.stdout
    assert "a bootstrap over the 4 identities" in done.stdout
    (people / "people" / "P1" / "P1_0003.jpg").write_text("no")
    broken = project.run(*command, folder=people, MLFLOW_TRACKING_URI=tracking)
    assert broken.returncode == 2
    assert "1 of the 6 images in lfw.txt cannot be read: people/P1/P1_0003.jpg: not an image" in broken.stderr
    assert "Traceback" not in broken.stderr


HEADER = "path_a,path_b,same\n"
SAME, OTHER = "people/P0/P0_0001.jpg,people/P0/P0_0002.jpg", "people/P0/P0_0001.jpg,people/P1/P1_0001.jpg"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (f"{HEADER}{SAME},1\npeople/P0/P0_0001.jpg,people/P9/x.jpg,0\n", r"people/P9/x\.jpg \(line 3, .*--images"),
        ("1\nP0\t1\t2\nP0\t1\tnobody\t1\n", r"nobody/nobody_0001\.jpg \(line 3, no such folder\)"),
        (f"{HEADER}{SAME},1\n", r"has only same pairs \(1\); add different pairs"),
        (f"{HEADER}{SAME},1\n{SAME},0\n{OTHER},0\n", r"as same and as different; remove the wrong row"),
        (f"{HEADER}{SAME},maybe\n{OTHER},0\n", r"line 2: same is 'maybe', but must be 1, 0, true or false"),
        (f"a,b,label\n{SAME},1\n", r"line 1: the header is 'a,b,label'\. The first line must be path_a,path_b,same"),
        ("", r"is empty or starts with an empty line\. The first line must be"),
        (b"\xff\xfe\x00", r"is not UTF-8 text .* save it as UTF-8"),
        (None, r"cannot be read: No such file or directory"),
    ],
)
def test_a_bad_file_of_pairs_is_trouble_in_one_line(
    model: str,
    tracking: str,
    people: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    content: str | bytes | None,
    told: str,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking)
    monkeypatch.chdir(people)
    if content is not None:
        Path("bad.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert main(["evaluate", "--model", model, "--pairs", "bad.csv", "--images", "."]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(rf"^siamese evaluate: .*bad\.csv.*{told}", line), line


def test_evaluate_by_one_shot_tasks(project: Project, model: str, tracking: str, people: Path) -> None:
    command = ["siamese", "evaluate", "--model", model, "--one-shot", "3"]
    (people / "people" / "notes.txt").write_text("no image")
    images = ["--images", "people"]
    found = json.loads(project.run(*command, *images, "--json", folder=people, MLFLOW_TRACKING_URI=tracking).stdout)
    assert (found["way"], found["identities"], found["images"], found["sources"]) == (3, 4, 12, "names")
    assert found["unreadable"] == ["people/notes.txt"]
    assert found["groups"] == {".": found["error"]}
    assert 0 <= found["error"] < 2 / 3  # better than chance
    assert found["queries"] == 600
    said = project.run(*command, *images, folder=people, MLFLOW_TRACKING_URI=tracking).stdout
    assert f"3-way one-shot error {found['error']:.2%}, 600 queries" in said
    for wrong, words in (
        (command, "--one-shot N needs --images"),
        ([*command, *images, "--one-shot", "1"], "--one-shot is 1, but a task needs at least 2"),
    ):
        done = project.run(*wrong, folder=people, MLFLOW_TRACKING_URI=tracking)
        assert done.returncode == 2
        assert words in done.stderr


def test_show_and_promote(project: Project, model: str, tracking: str, tmp_path: Path) -> None:
    shown = project.run("siamese", "show", "--model", model, folder=tmp_path, MLFLOW_TRACKING_URI=tracking)
    assert shown.returncode == 0, shown.stderr
    assert "equal error rate" in shown.stdout
    report = next(line.split()[1] for line in shown.stdout.splitlines() if line.strip().startswith("report"))
    assert Path(report).is_file()
    facts = json.loads(project.run("siamese", "show", "--json", "--model", model, MLFLOW_TRACKING_URI=tracking).stdout)
    version = facts["registered"]["version"]
    done = project.run("siamese", "promote", "cli", version, MLFLOW_TRACKING_URI=tracking)
    assert done.stdout == f"cli: version {version} is the champion\n"
    wrong = project.run("siamese", "promote", "cli", "99", MLFLOW_TRACKING_URI=tracking)
    assert wrong.returncode == 2
    assert "cannot be promoted" in wrong.stderr


def test_an_unknown_model_is_named(project: Project, tracking: str, pictures: list[Path]) -> None:
    image = str(pictures[0])
    for name, message in (
        ("models:/nobody@champion", "nobody"),
        ("nowhere", "neither a folder of a verifier nor a registered model"),
    ):
        done = project.run("siamese", "verify", "--model", name, image, image, MLFLOW_TRACKING_URI=tracking)
        assert done.returncode == 2
        assert message in done.stderr
        assert "Traceback" not in done.stderr


def test_check_config_exit_codes(project: Project, tmp_path: Path) -> None:
    good = project.run("siamese", "check-config", "configs/demo.yaml")
    assert (good.returncode, good.stdout) == (0, "configs/demo.yaml: good\n"), good.stderr
    bad = tmp_path / "bad.yaml"
    bad.write_text("parameters: {data_dri: x}\n")
    done = project.run("siamese", "check-config", "--json", str(bad))
    assert done.returncode == 1
    assert "did you mean 'data_dir'" in json.loads(done.stdout)["error"]


def test_data_glyphs_is_seeded_and_refuses_a_full_folder(project: Project, tmp_path: Path) -> None:
    for name in ("a", "b"):
        done = project.run("siamese", "data", "glyphs", name, "--characters", "5", "--seed", "2", folder=tmp_path)
        assert done.returncode == 0, done.stderr
    first, second = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.png")}
        for name in ("a", "b")
    )
    assert first == second
    assert len({path.parent for path in first}) == 5
    again = project.run("siamese", "data", "glyphs", "a", folder=tmp_path)
    assert again.returncode == 2
    assert "a is not empty" in again.stderr


def test_starting_does_not_import_what_the_command_does_not_need() -> None:
    code = "import sys; from siamese_cli.main import main; main(['--version']); print(sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for name in ("torch", "zenml", "mlflow", "pandas", "numpy", "matplotlib"):
        assert f"'{name}'" not in loaded


SCORE = """
import base64, json, sys, pathlib, numpy as np, pandas as pd, mlflow
from PIL import Image
model = mlflow.pyfunc.load_model(sys.argv[1])
a, b, c = sys.argv[2:]
data = pathlib.Path(a).read_bytes()
pairs = model.predict(pd.DataFrame({"image_a": [a, data, a], "image_b": [a, c, "nowhere.png"]}))
point = model.predict(pd.DataFrame({"image_a": [a], "image_b": [c]}), params={"operating_point": "fmr_1e-1"})
single = model.predict(pd.DataFrame({"image": [a, data, b"no image"]}))
picture = Image.open(a)
forms = [pathlib.Path(a), picture, np.asarray(picture), base64.encodebytes(data).decode()]
forms = model.predict(pd.DataFrame({"image": forms}))
assert forms["error"].tolist() == [None] * 4, forms
assert all(np.allclose(row, single["embedding"][0], atol=1e-6) for row in forms["embedding"]), forms
print(json.dumps([pairs.to_dict("list"), point.to_dict("list"), single.to_dict("list")]))
"""


def test_the_registered_model_scores_tables_anywhere(
    project: Project, model: str, tracking: str, pictures: list[Path], tmp_path: Path
) -> None:
    # Without the project on the path: the model brings its code.
    command = [sys.executable, "-c", SCORE, model, *map(str, pictures)]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, env={**_clean(), "MLFLOW_TRACKING_URI": tracking}
    )
    assert done.returncode == 0, done.stderr
    pairs, point, single = json.loads(done.stdout.splitlines()[-1])
    assert list(pairs) == ["distance", "probability", "same", "error"]
    assert pairs["distance"][0] == pytest.approx(0, abs=1e-9)
    assert pairs["same"][0] is True
    assert pairs["error"][:2] == [None, None]
    assert "image_b: no such file" in pairs["error"][2]
    assert pairs["same"][2] is None
    assert np.isnan(pairs["distance"][2])
    assert point["distance"][0] == pytest.approx(pairs["distance"][1], abs=1e-6)
    assert len(single["embedding"][0]) == 16
    assert single["embedding"][0] == pytest.approx(single["embedding"][1])
    assert single["embedding"][2] is None
    assert "not an image" in single["error"][2]


def _clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


@pytest.fixture(scope="module")
def server(project: Project, model: str, tracking: str, session_folder: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    binary = Path(sys.executable).parent / "mlflow"
    environment = {**_clean(), "MLFLOW_TRACKING_URI": tracking, "PATH": f"{binary.parent}:/usr/bin:/bin"}
    log = session_folder / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [str(binary), "models", "serve", "-m", model, "--env-manager", "local", "-h", "127.0.0.1", "-p", str(port)],
            cwd=session_folder,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        address = f"http://127.0.0.1:{port}"
        try:
            _wait_for(f"{address}/ping", process, log)
            yield address
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(240):
        try:
            urllib.request.urlopen(url, timeout=5)
            return
        except (urllib.error.URLError, ConnectionError):
            assert process.poll() is None, log.read_text()
            time.sleep(0.5)
    raise AssertionError(log.read_text())


def post(address: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    request = urllib.request.Request(
        f"{address}/invocations", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        # Strict: NaN is not JSON, and other languages refuse it.
        found: list[dict[str, Any]] = json.loads(response.read(), parse_constant=pytest.fail)["predictions"]
        return found


def test_the_server_takes_base64_and_never_reads_its_own_files(server: str, pictures: list[Path]) -> None:
    texts = [base64.b64encode(path.read_bytes()).decode() for path in pictures]
    table = {"columns": ["image_a", "image_b"], "data": [[texts[0], texts[0]], [texts[0], str(pictures[0])]]}
    good, refused = post(server, {"dataframe_split": table, "params": {"operating_point": "fmr_1e-1"}})
    assert good["same"] is True
    assert good["distance"] == pytest.approx(0, abs=1e-9)
    assert good["error"] is None
    assert "the server does not read paths" in refused["error"]
    assert refused["same"] is None
    records = [{"image": f"data:image/png;base64,{texts[1]}"}]
    (single,) = post(server, {"dataframe_records": records})
    assert len(single["embedding"]) == 16


@pytest.mark.parametrize(
    ("columns", "words"),
    [(["photo"], "Give the columns image_a and image_b, or image"), (["image_a", "image_b"], "No operating point")],
)
def test_the_server_refuses_a_request_in_words_alone(server: str, columns: list[str], words: str) -> None:
    table = {"columns": columns, "data": [["x"] * len(columns)]}
    with pytest.raises(urllib.error.HTTPError) as refusal:
        post(server, {"dataframe_split": table, "params": {"operating_point": "fmr_0"}})
    answer = refusal.value.read().decode()
    assert refusal.value.code == 400
    assert words in answer
    assert "stack_trace" not in answer
    assert ".py" not in answer


def test_scoring_agrees_between_server_and_command(
    server: str, project: Project, model: str, tracking: str, pictures: list[Path]
) -> None:
    texts = [base64.b64encode(path.read_bytes()).decode() for path in (pictures[0], pictures[2])]
    (served,) = post(server, {"dataframe_split": {"columns": ["image_a", "image_b"], "data": [texts]}})
    command = ["siamese", "verify", "--json", "--model", model, str(pictures[0]), str(pictures[2])]
    local = json.loads(project.run(*command, MLFLOW_TRACKING_URI=tracking).stdout)
    assert served["distance"] == pytest.approx(local["distance"], abs=1e-5)
    assert served["probability"] == pytest.approx(local["probability"], abs=1e-5)
