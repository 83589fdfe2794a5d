import unicodedata
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamese_core.errors import DataError
from siamese_core.messages import escape_controls, mask_credentials, presentable, presentable_lines

SECRET = "tr0ub4dor"


@pytest.mark.parametrize(
    "text",
    [
        "MLflow at http://ada:{}@host:5000: no answer",
        "postgresql+psycopg2://mlflow:{}@db/mlflow",
        "mysql://root:a@b{}@127.0.0.1:3306/zenml",
        "mysql://root:a/b{}@127.0.0.1:3306/zenml",
        "redis://:{}@cache:6379/0",
        "https://x-access-{}@github.com/org/repo.git",
        "two: http://a:{}@h, and http://b:{}@h",
        "'http://ada:{}@host' and \"http://ada:{}@host\"",
        "https://host/api?run=3&access_token={}&page=2",
        "https://host/api?sig={}&se=2026",
        "https://bucket/x?X-Amz-Signature={}&X-Amz-Security-Token={}",
        "https://maps/api?key={}",
        "host=db user=mlflow password={} dbname=mlflow",
        "host=db password='a b {}' dbname=mlflow",
        "DefaultEndpointsProtocol=https;AccountKey={};EndpointSuffix=core",
        "MLFLOW_TRACKING_TOKEN={}",
        "AWS_SECRET_ACCESS_KEY={} python train.py",
        "{{'api_key': '{}', 'page': 2}}",
        '{{"password": "a, {}"}}',
        "Authorization: Bearer {}.xyz",
        "headers={{'Authorization': 'Basic {}=='}}",
        "sent Bearer {}",
    ],
)
def test_a_credential_is_masked_wherever_it_stands(text: str) -> None:
    masked = mask_credentials(text.format(*[SECRET] * text.count("{}")))
    assert SECRET not in masked
    assert masked.count("***") == text.count("{}")
    assert mask_credentials(masked) == masked


@pytest.mark.parametrize(
    "text",
    [
        "models:/people@champion cannot be read from http://127.0.0.1:5000: no such model",
        "http://127.0.0.1:5000/#/models/people@champion",
        "https://host:8080/a@b?page=2&size=3",
        "sqlite:////home/ada/mlflow.db",
        "s3://bucket/people@home/a.jpg",
        "git@github.com and ssh://git@github.com/x",
        "unexpected token: line 3; the secret of the password is a key",
        "training.mining is 'hardest', but must be one of random, semi_hard",
        "identities=40 keyboard=3 code=7",
        "",
    ],
)
def test_what_is_no_credential_stays(text: str) -> None:
    assert presentable(text) == text


@given(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30))
def test_no_written_password_of_a_uri_is_left(user: str, password: str) -> None:
    user, password = (
        quote(f"{text}{SECRET}".encode("utf-8", "replace"), safe="!$&'()*+,;=") for text in (user, password)
    )
    assert presentable(f"at http://{user}:{password}@host/x: bad") == "at http://***@host/x: bad"


@given(st.text(max_size=50))
def test_nothing_is_left_that_a_terminal_obeys(text: str) -> None:
    shown = escape_controls(text)
    assert not any(unicodedata.category(sign) == "Cc" or sign in "\u202e\u2066\u2028" for sign in shown)
    assert escape_controls(shown) == shown
    lines = presentable_lines(text)
    assert not any(unicodedata.category(sign) == "Cc" for sign in lines if sign not in "\n\t")
    assert lines.count("\n") == text.count("\n")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2Jgone\x07", "\\x1b[2Jgone\\x07"),
        ("a\rb\x9b1m", "a\\rb\\x9b1m"),
        ("evil\nsiamese: all is well.png", "evil\\nsiamese: all is well.png"),
        ("gpj.\u202ecod", "gpj.\\u202ecod"),
        ("two problems:\n  - one\n  - two", "two problems:\n  - one\n  - two"),
        ("Ωmega/é/子.png\tx", "Ωmega/é/子.png\tx"),
    ],
)
def test_only_an_indented_line_is_a_line(text: str, shown: str) -> None:
    assert presentable(text) == shown


def test_every_error_of_ours_is_presentable() -> None:
    assert str(DataError("http://a:b@host\x1b[0m")) == "http://***@host\\x1b[0m"
