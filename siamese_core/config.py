"""The one configuration schema: a frozen dataclass a subject, every field with a default that works.

Plain dataclasses, so that they need no library; `__pydantic_config__` makes pydantic (and so ZenML) refuse
unknown keys. A value outside its range is a `ConfigError` at construction.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

from siamese_core.errors import ConfigError

_STRICT = {"extra": "forbid"}

Level = Literal["error", "warning", "off"]
Color = Literal["grey", "rgb"]
Framing = Literal["center", "content"]
Search = Literal["auto", "exact", "flat", "ivf", "hnsw"]
Architecture = Literal["convnet", "residual", "resnet18", "resnet50", "mobilenet_v3"]
Freeze = Literal["none", "body"]
Views = Literal["none", "flip", "shifts"]
Mining = Literal["semi_hard", "batch_hard", "batch_all", "distance_weighted", "easy_positive"]


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


def _check_choices(owner: object, prefix: str, **choices: object) -> None:
    """Fields by name, each with the `Literal` of what it may be."""
    for name, choice in choices.items():
        value, known = getattr(owner, name), get_args(choice)
        _check(value in known, f"{prefix}.{name}", value, f"one of {', '.join(known)}")


@dataclass(frozen=True)
class ImageConfig:
    """How a file becomes the square uint8 array that the encoder sees.

    Attributes:
        size: Height and width of the prepared image, in pixels.
        color: `grey` (1 channel) or `rgb` (3 channels).
        framing: `center` keeps the central square, `content` the square around all that differs from the colour of
            the border (ink on paper, a product on white), so that small drawings fill the frame too.
        crop: Side of the square that is kept, as a fraction of the shorter side, or of the content's square.
        invert: Swap dark and light (for dark strokes on white paper, say).
        max_pixels: A file with more pixels than this is quarantined before it is decoded.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    size: int = 64
    color: Color = "rgb"
    framing: Framing = "center"
    crop: float = 1.0
    invert: bool = False
    max_pixels: int = 100_000_000

    def __post_init__(self) -> None:
        _check(8 <= self.size <= 1024, "images.size", self.size, "between 8 and 1024 pixels")
        _check_choices(self, "images", color=Color, framing=Framing)
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
    search: Search = "auto"

    def __post_init__(self) -> None:
        _check_positive(self, "triplets", ["max_triplets", "neighbours"])
        _check_choices(self, "triplets", search=Search)


@dataclass(frozen=True)
class EncoderConfig:
    """The network f that both towers share.

    Attributes:
        architecture: `convnet` or `residual` (small, any size, grey or rgb), or a backbone of torchvision.
        embedding_dim: Length of the embedding.
        width: Sets the channels of `convnet` (width / 2, then 2, 4 and 4 times the width) and of `residual` (width,
            then 2, 4 and 4 times as many).
        depth: Residual blocks in each of the four stages of `residual`; one more than follow the second and the third
            halving of `convnet`.
        dropout: Share of the features that is dropped before the head, in training.
        weights_file: A local state dict (`.safetensors`, or `.pt`/`.pth`, read with `weights_only`) to start from.
        freeze: `body` trains the head alone; the body keeps its weights and its batch norms their statistics.
        test_time: What an embedding is the mean of, outside training: `none` (the image alone), `flip` (with its
            mirror image) or `shifts` (with its shifts by 1/32 of its side, to the left, right, top and bottom).
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    architecture: Architecture = "convnet"
    embedding_dim: int = 128
    width: int = 32
    depth: int = 1
    dropout: float = 0.0
    weights_file: str | None = None
    freeze: Freeze = "none"
    test_time: Views = "none"

    def __post_init__(self) -> None:
        _check_choices(self, "encoder", architecture=Architecture, freeze=Freeze, test_time=Views)
        _check_positive(self, "encoder", ["embedding_dim", "width", "depth"])
        _check(0 <= self.dropout < 1, "encoder.dropout", self.dropout, "at least 0 and below 1")


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
        sibling_fraction: Share of the batches whose identities lie below the same folder (the characters of one
            alphabet, say), or below a few.
        siblings: Identities that each of these folders gives to such a batch.
        refresh_every: Steps after which the confusable partners are found anew, by the encoder as it is then; a
            multiple of `evaluate_every`, or 0 for never.
        symmetries: 4 makes an image that is turned by 90, 180 or 270 degrees another identity's, 8 also its mirror
            images (more identities to learn from, for characters); 1 leaves it.
        margin: α of the triplet loss, in squared L2 distance of unit vectors (0 to 4).
        mining: Which triplets of a batch are learned from. `semi_hard`: for each positive pair the nearest negative
            beyond the positive. `batch_hard`: for each anchor the farthest positive and the nearest negative.
            `batch_all`: every triplet. `distance_weighted`: for each positive pair a random negative, all distances
            equally often. `easy_positive`: for each anchor the nearest positive, with a semi-hard negative.
        hardest_positives: First and last rank of the positives of `batch_hard`, 1 being the farthest; (2, 3) skips
            the hardest, which with noisy labels are the wrong ones.
        hardest_negatives: The same for its negatives, 1 being the nearest.
        loss: `triplet`, or `selectively_contrastive`, which drops the pull on the positive where the negative is
            nearer: with it `batch_hard` need not collapse.
        reduction: `sum` (the definition) or `mean_active`.
        learning_rate: Peak of the warm-up-cosine schedule.
        weight_decay: AdamW's weight decay.
        warmup: Share of the steps over which the learning rate rises.
        weight_average: Decay of the moving average of the weights that is validated and kept; 0 keeps the weights
            themselves.
        on_collapse: When all embeddings become equal: `recover` goes back to the last good weights and learns more
            softly, `warn` only says so, `stop` ends the run.
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
    sibling_fraction: float = 0.0
    siblings: int = 20
    refresh_every: int = 0
    symmetries: Literal[1, 4, 8] = 1
    margin: float = 0.2
    mining: Mining = "semi_hard"
    hardest_positives: tuple[int, int] = (1, 1)
    hardest_negatives: tuple[int, int] = (1, 1)
    loss: Literal["triplet", "selectively_contrastive"] = "triplet"
    reduction: Literal["sum", "mean_active"] = "sum"
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    warmup: float = 0.05
    weight_average: float = 0.0
    on_collapse: Literal["recover", "warn", "stop"] = "recover"
    validation: float = 0.1
    evaluate_every: int = 250
    warm_start: bool = False
    device: str = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        names = ["steps", "margin", "learning_rate", "evaluate_every", "siblings"]
        _check_positive(self, "training", names)
        _check_fraction(self, "training", ["hard_fraction", "sibling_fraction", "warmup"])
        _check(0 <= self.weight_average < 1, "training.weight_average", self.weight_average, "at least 0 and below 1")
        _check(
            self.refresh_every >= 0 and self.refresh_every % self.evaluate_every == 0,
            "training.refresh_every",
            self.refresh_every,
            f"0 or a multiple of training.evaluate_every ({self.evaluate_every})",
        )
        for name, least in (
            ("identities_per_batch", 2),
            ("images_per_identity", 2),
            ("singletons_per_batch", 0),
        ):
            value = getattr(self, name)
            _check(value >= least, f"training.{name}", value, f"at least {least}")
        _check(0 <= self.validation < 1, "training.validation", self.validation, "at least 0 and below 1")
        _check(0 < self.margin < 4, "training.margin", self.margin, "above 0 and below 4 (unit vectors)")
        _check(self.symmetries in (1, 4, 8), "training.symmetries", self.symmetries, "1, 4 or 8")
        self._check_mining()

    def _check_mining(self) -> None:
        _check_choices(self, "training", mining=Mining)
        losses = ("triplet", "selectively_contrastive") if self.mining != "batch_all" else ("triplet",)
        _check(self.loss in losses, "training.loss", self.loss, f"{' or '.join(losses)} (mining is {self.mining})")
        self._check_ranks("hardest_positives")
        self._check_ranks("hardest_negatives")
        most = self.images_per_identity - 1
        reachable = self.hardest_positives[0] <= most
        _check(reachable, "training.hardest_positives", self.hardest_positives, f"from {most} (K − 1) or less")

    def _check_ranks(self, name: str) -> None:
        ranks = getattr(self, name)
        in_order = len(ranks) == 2 and 1 <= ranks[0] <= ranks[1]
        _check(in_order, f"training.{name}", ranks, "a first and a last rank, from 1 up")
        used = self.mining == "batch_hard" or tuple(ranks) == (1, 1)
        _check(used, f"training.{name}", ranks, "(1, 1) unless training.mining is batch_hard")


@dataclass(frozen=True)
class CalibrationConfig:
    """Operating points, and the pairs they are measured on.

    Attributes:
        fmr_targets: False-match rates to find thresholds for.
        operating_point: Name of the default one: `eer`, `accuracy`, `fmr_1e-1`, `fmr_1e-2` …
        max_images_per_identity: Most images of one identity that calibrate or test, a seeded sample of them; all
            where it is not set. Where few identities have most of the images, intervals hold only with a limit.
        max_genuine_pairs: Most genuine pairs; above it a seeded sample is taken.
        max_impostor_pairs: Most impostor pairs; above it a seeded sample is taken.
        confidence: Level of the intervals.
        bootstrap: Resamples of the identities behind an interval.
        conservative: Choose each FMR threshold so that the FMR on as many new identities is at most the target with
            the confidence of `confidence`; else it is at most the target on the calibration identities, and about as
            often above as below it on new ones.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    fmr_targets: tuple[float, ...] = (0.1, 0.01, 0.001)
    operating_point: str = "fmr_1e-2"
    max_images_per_identity: int | None = None
    max_genuine_pairs: int = 200_000
    max_impostor_pairs: int = 1_000_000
    confidence: float = 0.95
    bootstrap: int = 1000
    conservative: bool = False

    def __post_init__(self) -> None:
        _check_positive(self, "calibration", ["max_genuine_pairs", "max_impostor_pairs", "bootstrap"])
        most = self.max_images_per_identity
        _check(most is None or most >= 2, "calibration.max_images_per_identity", most, "at least 2")
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
class EvaluationConfig:
    """What is measured on the test identities beside the error rates.

    Attributes:
        metadata: CSV with a column `path` or `identity` and any others, such as camera or age band; errors are
            measured for each group of a column.
        pairs: File of pairs to verify, `path_a,path_b,same[,fold]` or LFW's format.
        one_shot: Identities in a one-shot task within the test identities' folders; 0 for none.
        robustness: Measure errors on images that are blurred, darkened, turned … too.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    metadata: str | None = None
    pairs: str | None = None
    one_shot: int = 0
    robustness: bool = True

    def __post_init__(self) -> None:
        _check(self.one_shot == 0 or self.one_shot >= 2, "evaluation.one_shot", self.one_shot, "0, or 2 and more")


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
