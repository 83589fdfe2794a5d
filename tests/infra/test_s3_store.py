"""The pipeline with its artifacts in an S3-compatible store on this machine."""

import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from siamese_core.data.split import Split
from siamese_core.errors import DataError
from tests.conftest import Project
from tests.siamese_integrations.test_zenml_local_process import config, read_until, start

BUCKET = "artifacts"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    # What a user's environment would hold; the runs started below inherit it.
    credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    os.environ.update(credentials)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line for each request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()
    for name in credentials:
        del os.environ[name]


@pytest.fixture(scope="module")
def stack(project: Project, endpoint: str, session_folder: Path) -> str:
    """The stack with its artifacts in S3 and MLflow's records in a database of their own."""
    boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket=BUCKET)
    store = ["--flavor=s3", f"--path=s3://{BUCKET}/zenml"]
    store.append(f'--client_kwargs={{"endpoint_url": "{endpoint}", "region_name": "us-east-1"}}')
    tracker = ["--flavor=mlflow", f"--tracking_uri=sqlite:///{session_folder}/mlflow-s3.db"]
    parts = ["-a", "s3_store", "-o", "default", "-e", "s3_mlflow", "-r", "siamese_registry", "-s", "siamese_process"]
    for command in (
        ["artifact-store", "register", "s3_store", *store],
        ["experiment-tracker", "register", "s3_mlflow", *tracker],
        ["stack", "register", "s3_stack", *parts],
    ):
        done = project.run("zenml", *command)
        assert done.returncode == 0, done.stdout + done.stderr
    return "s3_stack"


def test_every_artifact_travels_through_the_store(project: Project, stack: str, glyphs: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(glyphs, data)
    process = start(project, config(project, "s3.yaml", data), "-s", stack)
    output = read_until(process, "Step `ingest` has finished")
    shutil.rmtree(data)
    output += process.communicate(timeout=400)[0]
    assert process.returncode == 0, output
    assert "Using step operator `siamese_process` to run step `train`" in output
    from zenml.client import Client

    run = Client().get_pipeline("training_pipeline").last_run
    uris = [version.uri for step in run.steps.values() for versions in step.outputs.values() for version in versions]
    assert len(uris) == 13
    assert [uri for uri in uris if not uri.startswith(f"s3://{BUCKET}/zenml/")] == []


def test_a_damaged_artifact_is_noticed(project: Project, stack: str, endpoint: str, tmp_path: Path) -> None:
    """One byte is changed in the store; loading compares with the hash that was recorded."""
    from zenml.client import Client

    from siamese_integrations.zenml_materializer import FolderMaterializer

    run = Client().get_pipeline("training_pipeline").last_run
    (version,) = run.steps["split"].outputs["split"]
    assert isinstance(version.load(), Split)
    key = version.uri.removeprefix(f"s3://{BUCKET}/") + "/split.parquet"
    storage = boto3.client("s3", endpoint_url=endpoint)
    body = bytearray(storage.get_object(Bucket=BUCKET, Key=key)["Body"].read())
    body[len(body) // 2] ^= 1
    storage.put_object(Bucket=BUCKET, Key=key, Body=bytes(body))
    assert version.materializer.import_path.endswith(FolderMaterializer.__name__)
    with pytest.raises(DataError, match="is damaged: its files are not those that were saved"):
        version.load()
