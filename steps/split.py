"""Split: which identities train, calibrate and test."""

from pathlib import Path
from typing import Annotated

from zenml import step

from integrations.zenml_cache import depends_on_code
from siamese_core.config import SplitConfig
from siamese_core.manifest import Manifest
from siamese_core.split import Split, make_split


@step(cache_policy=depends_on_code(__file__))
def split(
    manifest: Manifest, split: SplitConfig, split_file: str | None, split_file_sha256: str | None
) -> Annotated[Split, "split"]:
    """Assigns every identity to a part; `split_file_sha256` makes the cache notice an edited file."""
    parts = make_split(manifest, split, Path(split_file).expanduser() if split_file else None)
    print("identities: " + ", ".join(f"{count:,} {part}" for part, count in parts.summary().items()))
    return parts
