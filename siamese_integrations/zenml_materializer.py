"""ZenML's storage of the artifacts of siamese_core: folders of Parquet, NumPy, safetensors and JSON files."""

import shutil
from pathlib import Path
from tempfile import gettempdir
from typing import Any, ClassVar

from zenml.enums import ArtifactType, VisualizationType
from zenml.io import fileio
from zenml.materializers.base_materializer import BaseMaterializer
from zenml.metadata.metadata_types import MetadataType
from zenml.utils import io_utils

from siamese_core.artifact import FolderArtifact, hash_folder, make_folder, put_in_place
from siamese_core.calibration.operating_points import Calibration
from siamese_core.data.ingest import IngestIndex
from siamese_core.data.manifest import Manifest
from siamese_core.data.pair_lists import PairList
from siamese_core.data.split import Split
from siamese_core.data.store import ImageStore
from siamese_core.errors import DataError
from siamese_core.evaluation.evaluate import Evaluation
from siamese_core.network.trained import TrainedEncoder
from siamese_core.triplets.offline import Triplets
from siamese_integrations.scratch import guard, scratch_folder
from siamese_integrations.zenml_stack import scratch_of

_VISUALIZATIONS = {".png": VisualizationType.IMAGE, ".html": VisualizationType.HTML}
_CHUNK = 16 * 2**20


class FolderMaterializer(BaseMaterializer):
    """Storage of any `FolderArtifact`; its content hash is the hash of its files.

    An artifact is there whole or not at all: it is written aside, synced, and renamed into place. In a remote store the
    files are copied in pieces, so that an artifact larger than the memory can travel. Each load compares the files with
    the hash of those that were saved.
    """

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (
        Manifest,
        ImageStore,
        Split,
        PairList,
        Triplets,
        TrainedEncoder,
        Calibration,
        Evaluation,
        IngestIndex,
    )
    ASSOCIATED_ARTIFACT_TYPE: ClassVar[ArtifactType] = ArtifactType.DATA

    def save(self, data: FolderArtifact) -> None:
        """Write the artifact's files."""
        remote = io_utils.is_remote(self.uri)
        aside = scratch_folder(Path(gettempdir()) if remote else scratch_of(self.artifact_store))
        try:
            data.save(folder := make_folder(aside / "artifact"))
            self._content_hash = hash_folder(folder)
            self._names = sorted(path.name for path in folder.iterdir())
            if remote:
                for name in self._names:
                    _copy(str(folder / name), f"{self.uri}/{name}")
            else:
                put_in_place(folder, Path(self.uri))
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def load(self, data_type: type[Any]) -> Any:
        """Read the artifact; a memory-mapped one stays on disk.

        Raises:
            DataError: Its files are not those that were saved.
        """
        folder = Path(self.uri)
        if io_utils.is_remote(self.uri):
            folder = self._download()
        if self.expected_content_hash not in (None, hash_folder(folder)):
            raise DataError(
                f"The artifact {self.uri} is damaged: its files are not those that were saved. "
                "Run once with `enable_cache: false`, which makes it anew."
            )
        return data_type.load(folder)

    def save_visualizations(self, data: FolderArtifact) -> dict[str, VisualizationType]:
        """Show the pictures and pages among the files."""
        kinds = {name: _VISUALIZATIONS.get(Path(name).suffix) for name in self._names}
        return {f"{self.uri}/{name}": kind for name, kind in kinds.items() if kind}

    def extract_metadata(self, data: FolderArtifact) -> dict[str, MetadataType]:
        """The artifact's own summary; ZenML has no place for what is None."""
        return {name: value for name, value in data.summary().items() if value is not None}

    def compute_content_hash(self, data: FolderArtifact) -> str:
        """The hash of the files: equal values give an equal hash, and steps that depend on them stay cached."""
        return self._content_hash

    def _download(self) -> Path:
        # ZenML removes it when the step has finished: until then a memory map may read it.
        with self.get_temporary_directory(delete_at_exit=False) as temporary:
            guard(Path(temporary))
        folder = make_folder(Path(temporary) / "artifact")
        for name in fileio.listdir(self.uri):
            _copy(f"{self.uri}/{name}", str(folder / name))
        return folder


def _copy(source: str, target: str) -> None:
    with fileio.open(source, "rb") as reader, fileio.open(target, "wb") as writer:
        while chunk := reader.read(_CHUNK):
            writer.write(chunk)
