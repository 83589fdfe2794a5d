"""The whole pipeline, as a user runs it: `zenml pipeline run` in a copy of the checkout."""

import json
import os
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from siamese_core.config import SplitConfig
from siamese_core.data.split import hashed_part
from siamese_integrations.mlflow_registry import LONGEST_DESCRIPTION
from tests.conftest import QUICK, Project

STEPS = ["ingest", "validate", "split", "build_triplets", "train", "calibrate", "evaluate", "register"]


@pytest.fixture(scope="module")
def data(glyphs: Path, session_folder: Path) -> Path:
    folder = session_folder / "pipeline-data"
    shutil.copytree(glyphs, folder / "letters")
    # What real folders hold beside images.
    (folder / "letters" / ".DS_Store").write_bytes(b"\0\1")
    (folder / "README.txt").write_text("hello")
    return folder


def write_pairs(path: Path, data: Path, parts: tuple[str, ...]) -> None:
    """Two images of each identity of some parts as a genuine pair, and the first ones of neighbours as impostors."""
    names = [f"letters/{folder.name}" for folder in sorted((data / "letters").glob("U+*"))]
    chosen = [name for name in names if hashed_part(name, SplitConfig()) in parts]
    two = [sorted(f"{name}/{file.name}" for file in (data / name).glob("*.png"))[:2] for name in chosen]
    genuine = [f"{a},{b},1" for a, b in two]
    impostor = [f"{a},{b},0" for (a, _), (b, _) in zip(two, two[1:] + two[:1], strict=True)]
    path.write_text("\n".join(["path_a,path_b,same", *genuine, *impostor]))


@pytest.fixture(scope="module")
def metadata(data: Path, session_folder: Path) -> Path:
    """Says of each image by what kind of typeface it was drawn."""
    paths = [path.relative_to(data).as_posix() for path in sorted(data.rglob("*.png"))]
    rows = [f"{path},{'serif' if 'Serif' in path else 'sans'}" for path in paths]
    file = session_folder / "metadata.csv"
    file.write_text("\n".join(["path,typeface", *rows, ""]))
    return file


@pytest.fixture(scope="module")
def pair_file(data: Path, session_folder: Path) -> Path:
    path = session_folder / "letters-pairs.csv"
    write_pairs(path, data, ("test",))
    return path


@pytest.fixture(scope="module")
def first_run(project: Project, data: Path, metadata: Path, pair_file: Path) -> Any:
    evaluation = {"metadata": str(metadata), "pairs": str(pair_file), "one_shot": 5}
    config = project.write_config(
        "quick.yaml", data_dir=str(data), model_name="letters", evaluation=evaluation, **QUICK
    )
    done = project.pipeline(config)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def last_run() -> Any:
    from zenml.client import Client

    return Client().get_pipeline("training_pipeline").last_run


def statuses() -> dict[str, str]:
    run = last_run()
    return {name: str(step.status.value) for name, step in run.steps.items()}


def artifact(step: str, name: str) -> Any:
    return last_run().steps[step].outputs[name][0].load()


@pytest.mark.usefixtures("first_run")
class TestFirstRun:
    def test_every_step_completed(self) -> None:
        assert statuses() == dict.fromkeys(STEPS, "completed")

    def test_the_output_is_free_of_noise(self, first_run: Any) -> None:
        text = first_run.stdout + first_run.stderr
        for noise in ("Traceback", "Warning", "warning:", "Skipping registering", "INFO mlflow", "Failed to"):
            assert noise not in text.replace("warning: at least 99% of the files", ""), noise

    def test_a_line_of_ours_is_stored_once_with_its_step(self, data: Path) -> None:
        (log,) = [log for log in last_run().steps["ingest"].log_collection if log.source == "step"]
        stored = Path(log.uri).read_text()
        assert stored.count(f"looking through {data}") == 1
        assert stored.count("files quarantined") == 1

    def test_no_artifact_is_pickled(self) -> None:
        from zenml.client import Client

        found = Client().list_artifact_versions(size=500).items
        materializers = {version.materializer.import_path for version in found}
        assert materializers
        for name in materializers:
            assert "cloudpickle" not in name.lower()
            assert "pytorch" not in name.lower()
        stored = [path for version in found for path in Path(version.uri).rglob("*") if path.is_file()]
        assert stored
        assert {path.suffix for path in stored} <= {".parquet", ".json", ".safetensors", ".html", ".png", ".u8", ".txt"}

    def test_artifacts_load_and_fit_together(self) -> None:
        manifest, store = artifact("ingest", "image_manifest"), artifact("ingest", "image_store")
        split, triplets = artifact("split", "split"), artifact("build_triplets", "triplets")
        assert len(manifest.ok) == len(store)
        assert manifest.quarantined.empty
        assert manifest.ignored["path"].tolist() == ["README.txt", "letters/.DS_Store"]
        assert manifest.ok["identity"].str.startswith("letters/U+").all()
        assert set(split.table["identity"]) == set(manifest.ok["identity"])
        assert len(triplets.table) == 500
        evaluation = artifact("evaluate", "evaluation")
        assert evaluation.default in evaluation.model.points
        assert evaluation.model.eer < evaluation.pca.eer
        assert evaluation.model.eer < evaluation.pixels.eer
        cells = [(group.value, group.other) for group in evaluation.slices if group.column == "typeface"]
        assert cells == [("sans", "sans"), ("serif", "serif"), ("sans", "serif")]
        assert {curve.change for curve in evaluation.robustness} >= {"blur", "rotation"}
        assert evaluation.champion is None

    def test_the_users_protocols_are_measured_on_test_identities(self, pair_file: Path) -> None:
        evaluation = artifact("evaluate", "evaluation")
        rows = len(pair_file.read_text().splitlines()) - 1
        assert evaluation.pairs.genuine_pairs + evaluation.pairs.impostor_pairs == rows
        assert evaluation.pairs.identities == evaluation.identities
        assert (evaluation.one_shot.way, list(evaluation.one_shot.groups)) == (5, ["letters"])
        assert evaluation.one_shot.error < 4 / 5  # better than chance

    def test_pages_and_pictures_are_visualizations(self) -> None:
        for step, name in (
            ("validate", "data_report_page"),
            ("evaluate", "evaluation_report"),
            ("build_triplets", "triplets"),
        ):
            assert last_run().steps[step].outputs[name][0].visualizations, name
        assert artifact("validate", "data_report")["success"]

    def test_metrics_curves_and_charts_are_in_mlflow(self, project: Project) -> None:
        from mlflow.tracking import MlflowClient

        client = MlflowClient(project.run("siamese", "tracking-uri").stdout.strip())
        (run,) = client.search_runs([e.experiment_id for e in client.search_experiments()])
        assert run.info.status == "FINISHED"
        assert {
            "test_eer",
            "pixels_eer",
            "pca_eer",
            "pairs_accuracy",
            "one_shot_error",
            "slice_gaps",
            "test_fmr_at_eer",
            "validation_eer",
            "train_images_per_second",
        } <= set(run.data.metrics)
        assert [point.step for point in client.get_metric_history(run.info.run_id, "loss")] == [60, 120]
        assert run.data.params["training.steps"] == "120"
        listed = {item.path for item in client.list_artifacts(run.info.run_id)}
        assert {"report.html", "charts"} <= listed
        charts = {item.path for item in client.list_artifacts(run.info.run_id, "charts")}
        names = {"det", "roc", "distances", "targets", "reliability", "map", "training-loss", "robustness-blur"}
        assert {f"charts/{name}.svg" for name in names} <= charts

    def test_the_run_prints_where_the_report_lies(self, first_run: Any) -> None:
        (place,) = set(re.findall(r"report: (\S+\.html)", first_run.stdout + first_run.stderr))
        page = Path(place).read_text(encoding="utf-8")
        assert "letters: verification report" in page
        assert artifact("ingest", "image_manifest").sha256() in page
        assert "  steps: 120\n" in page, "the whole configuration"

    def test_the_registry_has_a_complete_champion(self, project: Project) -> None:
        from mlflow.tracking import MlflowClient

        client = MlflowClient(project.run("siamese", "tracking-uri").stdout.strip())
        version = client.get_model_version_by_alias("letters", "champion")
        assert version.version == client.get_model_version_by_alias("letters", "challenger").version
        assert {"data_manifest_sha256", "code_version", "zenml_run", "config", "promotion"} <= set(version.tags)
        assert json.loads(version.tags["config"])["training"]["steps"] == 120
        assert version.tags["data_manifest_sha256"] == artifact("ingest", "image_manifest").sha256()
        assert "Operating points" in version.description
        assert "5-way one-shot error" in version.description
        decision = version.description.rpartition("\n## Promotion\n")[2]
        assert decision.startswith("- promoted because it is the first model of this name: EER ")
        assert version.tags["default_operating_point"] == "fmr_1e-1"
        assert len(version.description) <= LONGEST_DESCRIPTION


def test_unchanged_data_and_code_come_from_the_cache(project: Project, first_run: Any) -> None:
    done = project.pipeline(project.folder / "configs" / "quick.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert statuses() == dict.fromkeys(STEPS, "cached") | {"ingest": "completed"}


def test_an_ingest_whose_classes_have_moved_is_one_clear_line(project: Project, first_run: Any, data: Path) -> None:
    """ZenML stores the path of an artifact's class, which a later version may not have."""
    database = Path(os.environ["ZENML_CONFIG_PATH"]) / "local_stores" / "default_zen_store" / "zenml.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        moved = "REPLACE(data_type, 'siamese_core.data.manifest', 'siamese_core.manifest')"
        changes = connection.execute(f"UPDATE artifact_version SET data_type = {moved} WHERE data_type <> {moved}")
        assert changes.rowcount > 0
    done = project.pipeline(project.folder / "configs" / "quick.yaml")
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    (line,) = [line for line in output.splitlines() if "siamese_core.manifest" in line]
    assert "the last ingest cannot be read" in line
    assert "reading every file again" in line
    assert "Traceback" not in output
    assert f"ingest: {len(list(data.rglob('*.png'))) + 2:,} files" in output
    assert statuses() == dict.fromkeys(STEPS, "cached") | {"ingest": "completed"}


def test_a_changed_line_of_the_core_runs_what_depends_on_it(project: Project, first_run: Any) -> None:
    path = project.folder / "siamese_core" / "report" / "templates" / "model_card.md.j2"
    before = path.read_text()
    assert "Intended use" in before
    path.write_text(before.replace("Intended use", "Use"))
    done = project.pipeline(project.folder / "configs" / "quick.yaml")
    path.write_text(before)
    assert done.returncode == 0, done.stdout + done.stderr
    assert statuses() == dict.fromkeys(STEPS, "cached") | {"ingest": "completed", "register": "completed"}
    # The evaluation is from the cache and from before there was a champion: the gate must not decide on that. The
    # same weights are not worse, so the new version takes over.
    assert "version 1 became the champion after the evaluation: comparing with it" in done.stdout + done.stderr
    assert artifact("register", "model_version") == "2"
    shown = json.loads(project.run("siamese", "show", "--json", "--model", "models:/letters/2").stdout)
    assert shown["champion"]["version"] == "1"
    assert shown["registered"]["decision"].startswith("promoted because it is equal: EER ")


def test_a_comment_in_the_loss_and_an_edited_csv_run_what_depends_on_them_alone(
    project: Project, first_run: Any, metadata: Path
) -> None:
    """Equal weights leave calibrate to the cache; the evaluation now knows a champion, so register runs too."""
    path = project.folder / "siamese_core" / "triplets" / "losses.py"
    before, rows = path.read_text(), metadata.read_text()
    path.write_text(before + "# a comment\n")
    metadata.write_text(rows + rows.splitlines()[-1] + "\n")  # says the same twice
    done = project.pipeline(project.folder / "configs" / "quick.yaml")
    path.write_text(before)
    metadata.write_text(rows)
    assert done.returncode == 0, done.stdout + done.stderr
    ran = dict.fromkeys(("ingest", "split", "train", "evaluate", "register"), "completed")
    assert statuses() == dict.fromkeys(STEPS, "cached") | ran


def test_a_wrong_metadata_file_ends_the_run_before_it_trains(project: Project, first_run: Any, metadata: Path) -> None:
    rows = metadata.read_text()
    metadata.write_text(rows + "letters/U+0041/Comic.png,script\n")
    done = project.pipeline(project.folder / "configs" / "quick.yaml")
    metadata.write_text(rows)
    assert done.returncode != 0
    assert re.search(r"metadata\.csv, line \d+: .*letters/U\+0041/Comic\.png", done.stdout + done.stderr)
    assert statuses()["split"] == "failed"
    assert "train" not in statuses()


def test_one_image_more_runs_everything_and_mines_with_the_champion(
    project: Project, first_run: Any, data: Path
) -> None:
    identity = next((data / "letters").glob("U+*"))
    Image.open(next(identity.glob("*.png"))).rotate(3, fillcolor=255).save(identity / "another.png")
    done = project.pipeline(project.folder / "configs" / "quick.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    found = statuses()
    # The new image changes neither the identities nor, so, the split.
    assert found.pop("split") == "completed"
    assert set(found.values()) == {"completed"}
    assert "mining with the champion, version" in done.stdout + done.stderr


def test_edited_pairs_are_measured_without_training_again(
    project: Project, first_run: Any, data: Path, pair_file: Path
) -> None:
    rows = pair_file.read_text().splitlines()
    pair_file.write_text("\n".join([rows[0], *rows[3:]]))
    done = project.pipeline(project.folder / "configs" / "quick.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    again = dict.fromkeys(("ingest", "split", "evaluate", "register"), "completed")
    assert statuses() == dict.fromkeys(STEPS, "cached") | again
    pairs = artifact("evaluate", "evaluation").pairs
    assert pairs.genuine_pairs + pairs.impostor_pairs == len(rows) - 3


def test_pairs_of_identities_that_train_stop_the_run_before_it_trains(
    project: Project, first_run: Any, data: Path, tmp_path: Path
) -> None:
    write_pairs(tmp_path / "all.csv", data, ("train", "calibration", "test"))
    protocols = {"evaluation": {"pairs": str(tmp_path / "all.csv")}}
    done = project.pipeline(
        project.write_config("seen.yaml", data_dir=str(data), model_name="letters", **QUICK, **protocols)
    )
    assert done.returncode == 1
    assert "are not held out for testing: letters/U+" in done.stderr
    assert "as test in split_file" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "train" not in statuses()


def test_a_typo_in_the_configuration_stops_before_anything_runs(project: Project, data: Path) -> None:
    config = project.write_config("typo.yaml", data_dir=str(data), trainin={"steps": 5})
    done = project.pipeline(config)
    assert done.returncode == 1
    assert "parameters.trainin is not a known key; did you mean 'training'?" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "Initiating" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (None, "does not exist"),
        ({}, "has no files"),
        ({"only": 30}, "at least 6 identities have 2 images or more (1 identities in all)"),
        ({f"p{i}": 1 for i in range(30)}, "at least 6 identities have 2 images or more (30 identities in all)"),
        (
            {f"{part}/p{i}": 2 for part in ("train", "test") for i in range(8)},
            "test/p0 = train/p0",
        ),
    ],
    ids=["missing", "empty", "one identity", "only singletons", "people twice"],
)
def test_hopeless_data_give_a_clear_message_and_no_traceback(
    project: Project,
    tmp_path: Path,
    image_folder: Callable[[dict[str, int]], Path],
    sizes: dict[str, int] | None,
    message: str,
) -> None:
    folder = tmp_path / "images"
    if sizes == {}:
        folder.mkdir()
    elif sizes:
        image_folder(sizes)
    config = project.write_config("hopeless.yaml", data_dir=str(folder), model_name="hopeless", **QUICK)
    done = project.pipeline(config)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
