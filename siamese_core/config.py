"""The one configuration schema: a frozen dataclass a subject, every field with a default that works.

Plain dataclasses, so that they need no library; `__pydantic_config__` makes pydantic (and so ZenML) refuse
unknown keys. A value outside its range is a `ConfigError` at construction.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from siamese_core.errors import ConfigError

_STRICT = {"extra": "forbid"}

Level = Literal["error", "warning", "off"]


def _check(holds: bool, name: str, value: object, allowed: str) -> None:
    if not holds:
        raise ConfigError(f"{name} is {value!r}, but must be {allowed}.")


def _check_positive(owner: object, prefix: str, names: Iterable[str]) -> None:
    for name in names:
        value = getattr(owner, name)
        _check(value > 0, f"{prefix}.{name}", value, "greater than 0")


def _check_fraction(owner: object, prefix: str, names: Iterable[str]) -> None:
    for name in names:
        value = getattr(owner, name)
        _check(0 <= value <= 1, f"{prefix}.{name}", value, "between 0 and 1")


@dataclass(frozen=True)
class ImageConfig:
    """How a file becomes the square uint8 array that the encoder sees.

    Attributes:
        size: Height and width of the prepared image, in pixels.
        color: `grey` (1 channel) or `rgb` (3 channels).
        crop: Side of the central square that is kept, as a fraction of the shorter side.
        invert: Swap dark and light (for dark strokes on white paper, say).
        max_pixels: A file with more pixels than this is quarantined before it is decoded.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    size: int = 64
    color: Literal["grey", "rgb"] = "rgb"
    crop: float = 1.0
    invert: bool = False
    max_pixels: int = 100_000_000

    def __post_init__(self) -> None:
        _check(8 <= self.size <= 1024, "images.size", self.size, "between 8 and 1024 pixels")
        _check(self.color in ("grey", "rgb"), "images.color", self.color, "'grey' or 'rgb'")
        _check(0 < self.crop <= 1, "images.crop", self.crop, "above 0 and at most 1")
        _check_positive(self, "images", ["max_pixels"])

    @property
    def channels(self) -> int:
        """1 for grey, 3 for rgb."""
        return 1 if self.color == "grey" else 3


@dataclass(frozen=True)
class ValidationConfig:
    """What the data must satisfy before anything is trained on it.

    Attributes:
        min_identities: Fewest identities with a readable image.
        min_images: Fewest readable images.
        min_decodable: Smallest share of the files that must be readable; below it the run stops.
        warn_decodable: Below this share the report warns.
        min_side: Width and height, in pixels, below which an image is reported as too small.
        min_contrast: Standard deviation of the prepared image (0-255) below which it counts as near-empty.
        max_near_empty: Largest share of near-empty images; above it the run stops.
        cross_identity_duplicates: What an identical file under two identities means.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    min_identities: int = 6
    min_images: int = 12
    min_decodable: float = 0.5
    warn_decodable: float = 0.99
    min_side: int = 16
    min_contrast: float = 2.0
    max_near_empty: float = 0.05
    cross_identity_duplicates: Level = "error"

    def __post_init__(self) -> None:
        _check_positive(self, "validation", ["min_identities", "min_images"])
        _check_fraction(self, "validation", ["min_decodable", "warn_decodable", "max_near_empty"])


@dataclass(frozen=True)
class SplitConfig:
    """Which identities train, calibrate and test; what is left over trains.

    Attributes:
        calibration: Share of the identities that set the thresholds.
        test: Share of the identities that measure the result.
        salt: Text hashed together with the identity; another salt gives another split.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    calibration: float = 0.2
    test: float = 0.2
    salt: str = "siamese"

    def __post_init__(self) -> None:
        _check_fraction(self, "split", ["calibration", "test"])
        total = self.calibration + self.test
        _check(total < 1, "split.calibration + split.test", total, "below 1, so that identities remain to train")


@dataclass(frozen=True)
class TripletConfig:
    """How many triplets build_triplets chooses, and how wide the identity-neighbour graph is.

    Attributes:
        max_triplets: Most triplets that are kept.
        neighbours: Confusable identities that are kept for each identity.
        search: How neighbours are found. `exact` compares all: on 2 cores about a second for 10⁹ pairs of 128
            dimensions, in little memory. The others need FAISS, run on the CPU, hold a copy of the embeddings, and
            compare exactly where they find no negative beyond the positive. `flat` is exact too. `ivf` looks through
            64 of 4·√N lists; building them takes a minute for 10⁶ images. `hnsw` searches a graph, which takes the
            longest to build (in one thread, so that it is the same each time). `auto` is `exact` on a GPU or up to
            10¹¹ pairs, and `ivf` beyond.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    max_triplets: int = 20_000
    neighbours: int = 10
    search: Literal["auto", "exact", "flat", "ivf", "hnsw"] = "auto"

    def __post_init__(self) -> None:
        _check_positive(self, "triplets", ["max_triplets", "neighbours"])
        known = ("auto", "exact", "flat", "ivf", "hnsw")
        _check(self.search in known, "triplets.search", self.search, f"one of {', '.join(known)}")


@dataclass(frozen=True)
class EncoderConfig:
    """The network f that both towers share.

    Attributes:
        architecture: `convnet` (small, any size, grey or rgb) or a torchvision backbone.
        embedding_dim: Length of the embedding.
        width: Channels of the convnet's first layer; later layers have 2, 4 and 4 times as many.
        weights_file: A local state dict (`.safetensors`, or `.pt`/`.pth`, read with `weights_only`) to start from.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    architecture: Literal["convnet", "resnet18", "mobilenet_v3"] = "convnet"
    embedding_dim: int = 128
    width: int = 32
    weights_file: str | None = None

    def __post_init__(self) -> None:
        known = ("convnet", "resnet18", "mobilenet_v3")
        _check(
            self.architecture in known,
            "encoder.architecture",
            self.architecture,
            f"one of {', '.join(known)}",
        )
        _check_positive(self, "encoder", ["embedding_dim", "width"])


@dataclass(frozen=True)
class AugmentConfig:
    """Random changes that keep an identity recognisable; each is drawn anew for each image.

    Attributes:
        rotation: Largest turn, in degrees.
        scale: Largest relative change of size.
        shear: Largest shear.
        shift: Largest shift, as a fraction of the image.
        elastic: Largest local displacement, as a fraction of the image.
        brightness: Largest change of brightness, as a fraction of the full range.
        contrast: Largest relative change of contrast.
        flip: Mirror half of the images left to right.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    rotation: float = 8.0
    scale: float = 0.1
    shear: float = 0.1
    shift: float = 0.06
    elastic: float = 0.0
    brightness: float = 0.1
    contrast: float = 0.2
    flip: bool = False

    def __post_init__(self) -> None:
        _check(0 <= self.rotation <= 180, "training.augment.rotation", self.rotation, "between 0 and 180 degrees")
        names = ["scale", "shear", "shift", "elastic", "brightness", "contrast"]
        _check_fraction(self, "training.augment", names)


@dataclass(frozen=True)
class TrainingConfig:
    """The training loop.

    Attributes:
        steps: Number of batches.
        identities_per_batch: P of the P×K batch.
        images_per_identity: K of the P×K batch.
        singletons_per_batch: Images of identities with a single image, added to each batch as negatives.
        hard_fraction: Share of a batch's identities that are confusable partners of the others, taken from
            the triplet table and the identity-neighbour graph.
        margin: α of the triplet loss, in squared L2 distance of unit vectors (0 to 4).
        mining: Which triplets of a batch are learned from.
        reduction: `sum` (the definition) or `mean_active`.
        learning_rate: Peak of the warm-up-cosine schedule.
        weight_decay: AdamW's weight decay.
        warmup: Share of the steps over which the learning rate rises.
        validation: Share of the train identities kept aside to choose the best weights.
        evaluate_every: Steps between two validations.
        warm_start: Start from the champion's weights where it has the same architecture and reads the same images.
        device: `auto` takes a GPU where there is one.
        precision: Of convolutions; `auto` takes bfloat16 where the hardware computes in it. Distances, mining, loss
            and weights are float32 always.
        augment: Random changes to the images.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    steps: int = 1500
    identities_per_batch: int = 32
    images_per_identity: int = 4
    singletons_per_batch: int = 16
    hard_fraction: float = 0.5
    margin: float = 0.2
    mining: Literal["semi_hard", "batch_hard"] = "semi_hard"
    reduction: Literal["sum", "mean_active"] = "sum"
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    warmup: float = 0.05
    validation: float = 0.1
    evaluate_every: int = 250
    warm_start: bool = False
    device: str = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        names = ["steps", "margin", "learning_rate", "evaluate_every"]
        _check_positive(self, "training", names)
        _check_fraction(self, "training", ["hard_fraction", "warmup"])
        for name, least in (
            ("identities_per_batch", 2),
            ("images_per_identity", 2),
            ("singletons_per_batch", 0),
        ):
            value = getattr(self, name)
            _check(value >= least, f"training.{name}", value, f"at least {least}")
        _check(0 <= self.validation < 1, "training.validation", self.validation, "at least 0 and below 1")
        _check(0 < self.margin < 4, "training.margin", self.margin, "above 0 and below 4 (unit vectors)")


@dataclass(frozen=True)
class CalibrationConfig:
    """Operating points, and the pairs they are measured on.

    Attributes:
        fmr_targets: False-match rates to find thresholds for.
        operating_point: Name of the default one: `eer`, `accuracy`, `fmr_1e-1`, `fmr_1e-2` …
        max_genuine_pairs: Most genuine pairs; above it a seeded sample is taken.
        max_impostor_pairs: Most impostor pairs; above it a seeded sample is taken.
        confidence: Level of the intervals.
        bootstrap: Resamples of the identities behind an interval.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    fmr_targets: tuple[float, ...] = (0.1, 0.01, 0.001)
    operating_point: str = "fmr_1e-2"
    max_genuine_pairs: int = 200_000
    max_impostor_pairs: int = 1_000_000
    confidence: float = 0.95
    bootstrap: int = 1000

    def __post_init__(self) -> None:
        _check_positive(self, "calibration", ["max_genuine_pairs", "max_impostor_pairs", "bootstrap"])
        _check(0 < self.confidence < 1, "calibration.confidence", self.confidence, "between 0 and 1")
        for target in self.fmr_targets:
            _check(0 < target < 1, "calibration.fmr_targets", target, "between 0 and 1")
        names = ["eer", "accuracy", *map(operating_point_name, self.fmr_targets)]
        _check(
            self.operating_point in names,
            "calibration.operating_point",
            self.operating_point,
            "one of " + ", ".join(names),
        )


@dataclass(frozen=True)
class PromotionConfig:
    """When a challenger becomes the champion.

    Attributes:
        max_eer_increase: How much higher than the champion's the challenger's EER may be on the same test pairs.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    max_eer_increase: float = 0.0

    def __post_init__(self) -> None:
        _check_fraction(self, "promotion", ["max_eer_increase"])


def operating_point_name(fmr: float) -> str:
    """The name of the operating point with this target, such as `fmr_1e-2` for 0.01."""
    mantissa, exponent = f"{fmr:e}".split("e")
    return f"fmr_{float(mantissa):g}e{int(exponent)}"
