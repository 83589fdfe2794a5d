"""Split: which identities train, calibrate and test, and the user's protocols held against it."""

from pathlib import Path
from typing import Annotated

from zenml import step

from siamese_core.config import SplitConfig
from siamese_core.data.image_metadata import read_metadata
from siamese_core.data.manifest import Manifest
from siamese_core.data.pair_lists import PairList, read_held_out_pairs
from siamese_core.data.split import Split, make_split
from siamese_core.evaluation.one_shot_layout import one_shot_paths
from siamese_integrations.zenml_cache import depends_on_code


@step(cache_policy=depends_on_code(__file__))
def split(
    manifest: Manifest,
    split: SplitConfig,
    split_file: str | None,
    split_file_sha256: str | None,
    pairs: str | None,
    pairs_sha256: str | None,
    one_shot: int,
    metadata: str | None,
    metadata_sha256: str | None,
) -> tuple[Annotated[Split, "split"], Annotated[PairList, "pairs"]]:
    """Assigns every identity to a part, and reads the user's pairs; the hashes make the cache notice an edited file.

    What is wrong with the protocols and the metadata is said here, before anything is trained. The pairs travel on as
    an artifact: the machine that evaluates may see neither the file nor the images.
    """
    parts = make_split(manifest, split, Path(split_file).expanduser() if split_file else None)
    print("identities: " + ", ".join(f"{count:,} {part}" for part, count in parts.summary().items()))
    listed = read_held_out_pairs(Path(pairs).expanduser(), manifest, parts) if pairs else PairList.empty()
    if pairs:
        print(f"{pairs}: " + ", ".join(f"{count:,} {what}" for what, count in listed.summary().items()))
    if one_shot:
        one_shot_paths(manifest, parts)
    if metadata:
        read_metadata(Path(metadata).expanduser(), manifest, parts.rows(manifest, "test"))
    return parts, listed
