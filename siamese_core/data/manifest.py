"""The image manifest: a row for every file, readable or not."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from siamese_core.artifact import read_table, write_table

COLUMNS = {
    "identity": "str",  # name of the person or thing: folder below data_dir, joined by "/", in NFC
    "path": "str",  # file below data_dir, joined by "/"
    "sha256": "str",  # of the file's bytes; "" where it could not be read
    "bytes": "int64",
    "width": "int64",  # of the upright image; 0 where it could not be decoded
    "height": "int64",
    "mode": "str",
    "format": "str",
    "bit_depth": "int64",  # bits of a channel in the file; 0 where it could not be decoded
    "largest": "int64",  # largest number of a channel where it has more than 8 bits; else 0
    "brightness": "float64",  # mean of the prepared pixels, 0 to 255
    "contrast": "float64",  # their standard deviation
    "status": "str",  # ok | quarantined | ignored
    "reason": "str",  # why it is quarantined or ignored
}


@dataclass(frozen=True)
class Manifest:
    """Every file below the data folder, in the order of their paths.

    Attributes:
        table: One row a file, with the columns of `COLUMNS`.
    """

    table: pd.DataFrame

    @property
    def ok(self) -> pd.DataFrame:
        """The readable images; row i is image i of the image store."""
        return self._with("ok")

    @property
    def quarantined(self) -> pd.DataFrame:
        """The files that cannot be used, each with its reason."""
        return self._with("quarantined")

    @property
    def ignored(self) -> pd.DataFrame:
        """The files beside the images, such as thumbnails and annotations, each with the rule that it falls under."""
        return self._with("ignored")

    @property
    def judged(self) -> pd.DataFrame:
        """The files that are images or should be: readable and quarantined ones."""
        return self.table[self.table["status"] != "ignored"].reset_index(drop=True)

    def _with(self, status: str) -> pd.DataFrame:
        return self.table[self.table["status"] == status].reset_index(drop=True)

    def sha256(self) -> str:
        """A hash of paths, contents and verdicts."""
        columns = ["path", "sha256", "status", "reason"]
        rows = self.table[columns].to_csv(index=False, lineterminator="\n")
        return hashlib.sha256(rows.encode()).hexdigest()

    def save(self, folder: Path) -> None:
        """Write `manifest.parquet`."""
        write_table(folder / "manifest.parquet", self.table)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read `manifest.parquet`."""
        return cls(read_table(folder / "manifest.parquet"))

    def summary(self) -> dict[str, Any]:
        """Counts of files, images, identities, and of quarantined and ignored files."""
        images = self.ok
        per_identity = images.groupby("identity").size()
        return {
            "files": len(self.table),
            "images": len(images),
            "identities": len(per_identity),
            "singletons": int((per_identity == 1).sum()),
            "quarantined": len(self.quarantined),
            "ignored": len(self.ignored),
            "images_per_identity_median": float(np.median(per_identity)) if len(per_identity) else 0.0,
        }


def make_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """A manifest table from rows, with the right columns and types even where there are no rows."""
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)
