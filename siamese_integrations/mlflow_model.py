"""The registered model's code: MLflow copies this file next to the weights and runs it when the model is loaded.

It imports siamese_core alone, which travels with the model.
"""

import base64
import logging
import os
import string
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST, INTERNAL_ERROR
from mlflow.pyfunc import PythonModel

from siamese_core.arrays import Pixels
from siamese_core.data.decoding_memory import LOCAL, SERVER
from siamese_core.data.images import ImageSource, load_image
from siamese_core.errors import SiameseError, UnreadableImageError
from siamese_core.verifier import Verifier

_logger = logging.getLogger(__name__)
_PAIR, _SINGLE = ["image_a", "image_b"], "image"
_SHOWN = 80
_DATA_URI = "base64,"
# The other alphabet of RFC 4648, for URLs and file names, and the breaks of RFC 2045 between lines.
_STANDARD = str.maketrans("-_", "+/", string.whitespace)


class SiameseModel(PythonModel):
    """The verifier for tables of pairs (`image_a`, `image_b`) or of images to embed (`image`).

    An image is the bytes of an image file or base64 text of them; outside a server also a path, a Pillow image, or an
    (H, W) or (H, W, C) uint8 array.
    """

    def load_context(self, context: Any) -> None:
        """Load weights and thresholds."""
        self._verifier = Verifier.load(context.artifacts["verifier"])

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Score a table.

        Args:
            context: Not used.
            model_input: Columns `image_a` and `image_b`, or `image`.
            params: `operating_point`, such as `fmr_1e-2`.

        Returns:
            For pairs `distance`, `probability` and `same`; for images `embedding`; and always `error`, which is
            empty where the row went well. `same` is null and `error` says why where no operating point was named
            and the model has no default.

        Raises:
            SiameseError: The table has other columns, or there is no such operating point; in a server, in place of
                this and any other error, an `MlflowException`.
        """
        try:
            return _for_caller(self._answer(model_input, (params or {}).get("operating_point") or None))
        except Exception as error:
            if not _in_server():
                raise
            raise _response(error) from None

    def _answer(self, table: pd.DataFrame, operating_point: str | None) -> pd.DataFrame:
        if set(_PAIR) <= set(table.columns):
            return self._verify(table, operating_point)
        if _SINGLE in table.columns:
            return self._embed(table)
        raise SiameseError(f"Give the columns image_a and image_b, or image; the table has {list(table.columns)}.")

    def _verify(self, table: pd.DataFrame, operating_point: str | None) -> pd.DataFrame:
        calibration = self._verifier.calibration
        reason = None if operating_point or calibration.default else calibration.default_in_words
        threshold = np.nan if reason else calibration.point(operating_point).threshold
        first, first_errors = self._embeddings(table["image_a"])
        second, second_errors = self._embeddings(table["image_b"])
        distance = ((first - second) ** 2).sum(axis=1)  # NaN where an image is bad
        errors = [
            "; ".join(f"{name}: {error}" for name, error in zip(_PAIR, pair, strict=True) if error) or reason
            for pair in zip(first_errors, second_errors, strict=True)
        ]
        good = np.array([error is None for error in errors], bool)
        same = np.where(good, distance < threshold, None)
        probability = calibration.probability(distance)
        columns = {"distance": distance, "probability": probability, "same": same}
        result = pd.DataFrame(columns, index=table.index).assign(error=_texts(errors, table.index))
        return result.astype({"same": bool}) if good.all() else result

    def _embed(self, table: pd.DataFrame) -> pd.DataFrame:
        embeddings, errors = self._embeddings(table[_SINGLE])
        values = [row.tolist() if error is None else None for row, error in zip(embeddings, errors, strict=True)]
        return pd.DataFrame({"embedding": values}, index=table.index).assign(error=_texts(errors, table.index))

    def _embeddings(self, column: pd.Series) -> tuple[np.ndarray, list[str | None]]:
        """(N, D) float64, with NaN and a reason where an image cannot be used."""
        pixels: list[Pixels] = []
        errors: list[str | None] = []
        memory = SERVER if _in_server() else LOCAL
        for value in column:
            try:
                pixels.append(load_image(_source(value), self._verifier.trained.images, memory))
                errors.append(None)
            except UnreadableImageError as error:
                errors.append(str(error))
        result = np.full((len(column), self._verifier.trained.encoder.embedding_dim), np.nan)
        good = [error is None for error in errors]
        if pixels:
            result[good] = self._verifier.embed_prepared(pixels)
        return result, errors


def _source(value: Any) -> ImageSource:
    """The image of a cell; in a server bytes or base64 text alone."""
    if isinstance(value, str):
        return _from_text(value)
    if _in_server() and not isinstance(value, bytes | bytearray | memoryview):
        raise UnreadableImageError(f"no image: expected base64 text, not {type(value).__name__}")
    return value  # load_image refuses what is no image


def _from_text(text: str) -> bytes | Path:
    """The file at a path, outside a server, or the bytes behind base64 text."""
    if not text.strip():
        raise UnreadableImageError("no image: the text is empty")
    # Unlike Path.exists, it takes text that is too long for a path, or below a closed folder.
    if not _in_server() and os.path.lexists(text):
        return Path(text)
    try:
        return _from_base64(text)
    except ValueError:
        if _in_server():
            raise UnreadableImageError("not base64 text (the server does not read paths)") from None
        raise UnreadableImageError(f"no such file, and not base64 text: {text[:_SHOWN]!r}") from None


def _from_base64(text: str) -> bytes:
    """Decode base64 as senders write it: also with line breaks, with - and _, without padding, or as a data URI.

    Raises:
        ValueError: It is not base64.
    """
    digits = (text.partition(_DATA_URI)[2] or text).translate(_STANDARD).rstrip("=")
    return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)


def _response(error: Exception) -> MlflowException:
    """The server's answer to an error: to any but its own exceptions MLflow adds the traceback, for every client."""
    if isinstance(error, SiameseError):
        return MlflowException(str(error), BAD_REQUEST)
    _logger.exception("the model failed on a request")
    return MlflowException("The model failed on this request; the server's log says why.", INTERNAL_ERROR)


def _texts(errors: list[str | None], index: pd.Index) -> pd.Series:
    return pd.Series(errors, index=index, dtype=object)  # pandas' text type would turn None into NaN


def _for_caller(result: pd.DataFrame) -> pd.DataFrame:
    """Turn NaN into null in a server: JSON has no NaN."""
    return result.astype(object).where(result.notna(), None) if _in_server() else result


def _in_server() -> bool:
    # MLflow sets these in its scoring server. There a path would let any client read the server's files.
    return "__pyfunc_model_path__" in os.environ or os.environ.get("_MLFLOW_IS_IN_SERVING_ENVIRONMENT") == "true"


mlflow.models.set_model(SiameseModel())
