"""`siamese history`: figures of the same test pairs stand beside each other, and no others."""

import json
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from siamese_cli.main import main

# (EER, test pairs), oldest first; the first version is of a release that did not record its pairs.
VERSIONS = [("0.10", None), ("0.08", "a"), ("0.05", "b"), ("0.07", "a"), ("0.01", "c"), ("0.09", "a")]


@pytest.fixture
def tracking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    client = MlflowClient(uri, uri)
    client.create_registered_model("people")
    for eer, pairs in VERSIONS:
        tags = {"test_eer": eer, "promotion": "promoted by hand"} | ({"test_pairs": pairs} if pairs else {})
        client.create_model_version("people", str(tmp_path), tags=tags)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    return uri


def test_eers_are_compared_on_the_same_test_pairs_alone(tracking: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", "people"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "EER" in line]
    assert [line[line.index("EER") :] for line in lines] == [
        "EER 9.00%, +2.00% against version 4 on the same test pairs",
        "EER 1.00%, no earlier version has its test pairs",
        "EER 7.00%, -1.00% against version 2 on the same test pairs",
        "EER 5.00%, no earlier version has its test pairs",
        "EER 8.00%, no earlier version has its test pairs",
        "EER 10.00%, test pairs not recorded",
    ]
    assert main(["history", "--json", "people"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["compared_with"] for row in rows] == ["4", "", "2", "", "", ""]
    assert [row["eer_difference"] for row in rows] == ["+0.020000", "", "-0.010000", "", "", ""]
