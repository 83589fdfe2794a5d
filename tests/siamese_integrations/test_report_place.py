from pathlib import Path

from siamese_integrations.report_place import REPORT, report_place


def test_the_report_is_a_file_where_artifacts_are_files(tmp_path: Path) -> None:
    folder = tmp_path / "a run"
    folder.mkdir()
    assert report_place(folder.as_uri()) == ""
    (folder / REPORT).write_text("page")
    assert report_place(folder.as_uri()) == report_place(str(folder)) == str(folder / "report.html")


def test_elsewhere_it_is_an_address() -> None:
    assert report_place("s3://bucket/1/abc/artifacts") == "s3://bucket/1/abc/artifacts/report.html"
