"""The configuration: one frozen dataclass a section of the YAML, every field with a default that works.

The docstring under a field is its text in the JSON schema (configs/schema.json) and in docs/configuration.md. A value
outside its range is a `ConfigError` at construction.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from siamese_core.config_section import Rules, no_boolean, section

IdentityRule = Literal["first_level", "leaf", "path"]
Search = Literal["auto", "exact", "flat", "ivf", "hnsw"]
# `held_out` is all that does not train: calibration and test together.
Part = Literal["train", "calibration", "test", "held_out"]

Fraction = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Inside = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
Steps = Annotated[int, Field(ge=1, le=10_000_000)]
# Up to the most images of an identity in a batch, less one.
Rank = Annotated[int, Field(ge=1, le=9_999)]

# What ends the name of a file, a URI of the registry or a line.
_CONTROL = r"\x00-\x1f\x7f-\x9f"
_IN_NAME = rf"{_CONTROL}/:@?"


def _text(most: int, pattern: str, allowed: str, **options: Any) -> Any:
    """Rule of a text: its longest length, its pattern, and both in words for the message."""
    return Field(max_length=most, pattern=pattern, json_schema_extra={"errorMessage": allowed}, **options)


FilePath = Annotated[
    str, _text(4096, rf"^[^{_CONTROL}]+$", "a path of 1 to 4,096 characters without control characters", min_length=1)
]
DataDir = Annotated[FilePath, Field(description="Folder of images; an identity is the path of a folder below it.")]
SplitFile = Annotated[
    FilePath | None, Field(description="CSV with the columns `identity,split` that overrides the split by hash.")
]
ModelName = Annotated[
    str,
    _text(
        200,
        rf"^[^\s.{_IN_NAME}]([^{_IN_NAME}]*[^\s{_IN_NAME}])?$",
        "a name of 1 to 200 characters without / : @ ? and control characters, that neither begins with a dot nor "
        "begins or ends with a space",
        min_length=1,
        description="Name in the MLflow model registry.",
    ),
]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1, description="Seed of everything random."), BeforeValidator(no_boolean)]


@section("data")
class DataConfig:
    """From folders to identities."""

    identity: IdentityRule | None = None
    """The part of a folder's path below `data_dir` that names the identity: `first_level` (`ann` of `ann/session1`),
    `leaf` (`ann` of `train/ann`) or `path`, all of it. Where it is not set it is `path`, and folders that may hold one
    person under two names are reported."""
    merge_file: FilePath | None = None
    """CSV with the columns `identity,into`: images of the first count as images of the second."""
    follow_links: bool = False
    """Read links that lead out of `data_dir`; otherwise they are quarantined. A link to a folder inside is never read:
    its files keep their own names."""


@section("images")
class ImageConfig:
    """Preparation of a file as the square uint8 array that the encoder reads."""

    size: Annotated[int, Field(ge=8, le=1024)] = 64
    """Height and width of the prepared image, in pixels."""
    color: Literal["grey", "rgb"] = "rgb"
    """`grey` (1 channel) or `rgb` (3 channels)."""
    framing: Literal["center", "content"] = "center"
    """`center` keeps the central square. `content` keeps the square around all that differs from the colour of the
    border (ink on paper, a product on white), so that small drawings fill the frame too."""
    crop: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Side of the square that is kept, as a fraction of the shorter side, or of the content's square."""
    invert: bool = False
    """Swap dark and light, for dark strokes on white paper, say."""
    white_level: Annotated[int, Field(ge=1, le=2**32 - 1)] | None = None
    """The number that is white in images of more than 8 bits a channel, such as 4095 for 12 bits in files of 16; the
    end of the file's range where it is not set."""
    max_pixels: Annotated[int, Field(ge=1, le=10_000_000_000)] = 100_000_000
    """A file with more pixels than this is quarantined before it is decoded."""

    @property
    def channels(self) -> int:
        """1 for grey, 3 for rgb."""
        return 1 if self.color == "grey" else 3


@section("validation")
class ValidationConfig:
    """Requirements on the data before anything is trained on them."""

    min_identities: Count = 6
    """Fewest identities with a readable image."""
    min_images: Count = 12
    """Fewest readable images."""
    min_decodable: Fraction = 0.5
    """Smallest share of the files that must be readable; below it the run stops."""
    warn_decodable: Fraction = 0.99
    """Share of readable files below which the data report warns."""
    min_side: Annotated[int, Field(ge=0, le=100_000)] = 16
    """Width and height, in pixels, below which an image is reported as too small."""
    min_contrast: Annotated[float, Field(ge=0, le=255)] = 2.0
    """Standard deviation of the prepared image (0 to 255) below which it counts as nearly empty."""
    max_near_empty: Fraction = 0.05
    """Largest share of nearly empty images; above it the run stops."""
    cross_identity_duplicates: Literal["error", "warning", "off"] = "error"
    """Severity of an identical file under two identities."""


@section("split")
class SplitConfig:
    """Shares of the identities that calibrate and test; the rest trains."""

    calibration: Fraction = 0.2
    """Share of the identities that set the thresholds."""
    test: Fraction = 0.2
    """Share of the identities that measure the result. With `calibration` it must stay below 1."""
    salt: Annotated[str, Field(max_length=1000)] = "siamese"
    """Text hashed together with the identity; another salt gives another split."""
    balance: Literal["hash", "exact"] = "hash"
    """`hash`: each identity is drawn by itself, so that it never changes its part; the shares of a few identities are
    off. `exact`: the shares hold to one identity, and identities at their borders may change parts as others come."""

    def rules(self) -> Rules:
        """Leave identities to train on."""
        total = self.calibration + self.test
        yield total < 1, "calibration + split.test", total, "below 1, so that identities remain to train"


@section("triplets")
class TripletConfig:
    """Triplets and the identity-neighbour graph that build_triplets mines."""

    max_triplets: Count = 20_000
    """Most triplets."""
    neighbours: Annotated[int, Field(ge=1, le=10_000)] = 10
    """Confusable identities in the graph for each identity."""
    search: Search = "auto"
    """Search for neighbours. `exact` compares all: on 2 cores about a second for 10⁹ pairs of 128 dimensions, in
    little memory. `flat`, `ivf` and `hnsw` need FAISS, run on the CPU, hold a copy of the embeddings, and compare
    exactly where they find no negative beyond the positive. `flat` is exact too. `ivf` looks through 64 of 4·√N lists;
    building them takes a minute for 10⁶ images. `hnsw` searches a graph, which takes the longest to build (in one
    thread, so that it is the same each time). `auto` is `exact` on a GPU or up to 10¹¹ pairs, and `ivf` beyond."""


@section("encoder")
class EncoderConfig:
    """The network f that both towers share."""

    architecture: Literal["convnet", "residual", "resnet18", "resnet50", "mobilenet_v3"] = "convnet"
    """`convnet` or `residual` (small, any size, grey or rgb), or a backbone of torchvision."""
    embedding_dim: Annotated[int, Field(ge=1, le=65_536)] = 128
    """Length of the embedding."""
    width: Annotated[int, Field(ge=1, le=4096)] = 32
    """Base number of channels: `convnet` has width / 2, then 2, 4 and 4 times the width; `residual` has the width,
    then 2, 4 and 4 times as many."""
    depth: Annotated[int, Field(ge=1, le=1000)] = 1
    """Residual blocks in each of the four stages of `residual`; in `convnet` depth − 1 of them follow the second and
    the third halving."""
    dropout: Share = 0.0
    """Share of the features that is dropped before the head, in training."""
    weights_file: FilePath | None = None
    """Local state dict to start from: `.safetensors`, or `.pt` and `.pth`, read with `weights_only`."""
    freeze: Literal["none", "body"] = "none"
    """`body` trains the head alone; the body keeps its weights, and its batch norms their statistics."""
    test_time: Literal["none", "flip", "shifts"] = "none"
    """Test-time augmentation, views averaged into one embedding: `none` (the image alone), `flip` (with its mirror
    image) or `shifts` (with its shifts by 1/32 of its side, to the left, right, top and bottom)."""


@section("training.augment")
class AugmentConfig:
    """Random changes that keep an identity recognisable, drawn anew for each image."""

    rotation: Annotated[float, Field(ge=0, le=180)] = 8.0
    """Largest turn, in degrees."""
    scale: Fraction = 0.1
    """Largest relative change of size."""
    shear: Fraction = 0.1
    """Largest shear."""
    shift: Fraction = 0.06
    """Largest shift, as a fraction of the image."""
    elastic: Fraction = 0.0
    """Largest local displacement, as a fraction of the image."""
    brightness: Fraction = 0.1
    """Largest change of brightness, as a fraction of the full range."""
    contrast: Fraction = 0.2
    """Largest relative change of contrast."""
    flip: bool = False
    """Mirror half of the images left to right."""


@section("training")
class TrainingConfig:
    """The training loop."""

    steps: Steps = 1500
    """Number of batches to train on."""
    identities_per_batch: Annotated[int, Field(ge=2, le=100_000)] = 32
    """Identities in a batch: P of P×K."""
    images_per_identity: Annotated[int, Field(ge=2, le=10_000)] = 4
    """Images of each of these identities: K of P×K."""
    singletons_per_batch: Annotated[int, Field(ge=0, le=100_000)] = 16
    """Images of identities with a single image, added to each batch as negatives."""
    hard_fraction: Fraction = 0.5
    """Share of a batch's identities that are confusable partners of the others, from the triplet table and the
    identity-neighbour graph."""
    sibling_fraction: Fraction = 0.0
    """Share of the batches whose identities lie below the same folder (the characters of one alphabet, say), or below
    a few."""
    siblings: Annotated[int, Field(ge=1, le=100_000)] = 20
    """Identities that each of these folders gives to such a batch."""
    refresh_every: Annotated[int, Field(ge=0, le=10_000_000)] = 0
    """Steps after which the present encoder searches for the confusable partners again; a multiple of
    `evaluate_every`, or 0 for never."""
    symmetries: Literal[1, 4, 8] = 1
    """Number of dihedral copies treated as separate identities: 1 (off), 4 (rotations by 90, 180 and 270 degrees) or
    8 (rotations and reflections). More identities to learn from, for characters."""
    margin: Annotated[float, Field(gt=0, lt=4)] = 0.2
    """α of the triplet loss, in squared L2 distance of unit vectors (0 to 4)."""
    mining: Literal["semi_hard", "batch_hard", "batch_all", "distance_weighted", "easy_positive"] = "semi_hard"
    """Choice of the triplets of a batch. `semi_hard`: for each positive pair the nearest negative beyond the positive.
    `batch_hard`: for each anchor the farthest positive and the nearest negative. `batch_all`: every triplet.
    `distance_weighted`: for each positive pair a random negative, all distances equally often. `easy_positive`: for
    each anchor the nearest positive, with a semi-hard negative."""
    hardest_positives: tuple[Rank, Rank] = (1, 1)
    """First and last rank of the positives of `batch_hard`, 1 being the farthest; (2, 3) skips the hardest, which with
    noisy labels are the wrong ones."""
    hardest_negatives: tuple[Rank, Rank] = (1, 1)
    """First and last rank of the negatives of `batch_hard`, 1 being the nearest."""
    loss: Literal["triplet", "selectively_contrastive"] = "triplet"
    """`triplet`, or `selectively_contrastive`, which drops the pull on the positive where the negative is nearer: with
    it `batch_hard` need not collapse."""
    reduction: Literal["sum", "mean_active"] = "sum"
    """`sum` (the definition) or `mean_active`."""
    learning_rate: Annotated[float, Field(gt=0, le=10)] = 1e-3
    """Peak of the learning rate, which rises in the warm-up and falls as a cosine."""
    weight_decay: Annotated[float, Field(ge=0, le=10)] = 1e-4
    """AdamW's weight decay."""
    warmup: Fraction = 0.05
    """Share of the steps over which the learning rate rises."""
    weight_average: Share = 0.0
    """Decay of the moving average of the weights that is validated and kept; 0 keeps the weights themselves."""
    on_collapse: Literal["recover", "warn", "stop"] = "recover"
    """Reaction when all embeddings become equal: `recover` goes back to the last good weights and learns more softly,
    `warn` only tells, `stop` ends the run."""
    validation: Share = 0.1
    """Share of the train identities held out to choose the best weights."""
    evaluate_every: Steps = 250
    """Steps between two validations."""
    warm_start: bool = False
    """Start from the champion's weights where it has the same architecture and reads the same images."""
    device: Annotated[
        str, _text(32, r"^[a-z]+(:[0-9]{1,3})?$", "auto, or a device of PyTorch such as cpu, cuda or cuda:1")
    ] = "auto"
    """`auto` takes a GPU where there is one; else a device of PyTorch, such as `cpu` or `cuda:1`."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of convolutions; `auto` takes bfloat16 where the hardware computes in it. Distances, mining, loss and
    weights are float32 always."""
    augment: AugmentConfig = AugmentConfig()
    """Random changes to the images."""

    def rules(self) -> Rules:
        """Refresh at validations only; mining, its ranks and the loss fit together."""
        every = self.evaluate_every
        multiple = f"0 or a multiple of training.evaluate_every ({every})"
        yield self.refresh_every % every == 0, "refresh_every", self.refresh_every, multiple
        contrastive = self.mining == "batch_all" and self.loss != "triplet"
        yield not contrastive, "loss", self.loss, "triplet (mining is batch_all)"
        for name in ("hardest_positives", "hardest_negatives"):
            ranks = getattr(self, name)
            yield ranks[0] <= ranks[1], name, ranks, "a first and a last rank, in this order"
            fits = self.mining == "batch_hard" or ranks == (1, 1)
            yield fits, name, ranks, "(1, 1) unless training.mining is batch_hard"
        first, most = self.hardest_positives[0], self.images_per_identity - 1
        yield first <= most, "hardest_positives", self.hardest_positives, f"from {most} (K − 1) or less"


@section("calibration")
class CalibrationConfig:
    """Operating points, and the pairs they are measured on."""

    fmr_targets: Annotated[tuple[Inside, ...], Field(max_length=100)] = (0.1, 0.01, 0.001)
    """False-match rates to find thresholds for."""
    operating_point: str = "fmr_1e-2"
    """Name of the default operating point: `eer`, `accuracy`, or one of the targets, as `fmr_1e-1`, `fmr_1e-2` …"""
    fallback: Annotated[tuple[str, ...], Field(max_length=100)] = ()
    """Names of operating points that may be the default where the data cannot support `operating_point`, the preferred
    one first. Where none may, the version has no default: its callers must name a point, and the gate does not promote
    it."""
    max_images_per_identity: Annotated[int, Field(ge=2, le=1_000_000_000)] | None = None
    """Most images of one identity that calibrate or test, a seeded sample of them; all where it is not set. Where few
    identities have most of the images, intervals hold only with a limit."""
    max_genuine_pairs: Count = 200_000
    """Most genuine pairs; above it a seeded sample is taken."""
    max_impostor_pairs: Count = 1_000_000
    """Most impostor pairs; above it a seeded sample is taken."""
    confidence: Inside = 0.95
    """Level of the confidence intervals."""
    bootstrap: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    """Resamples of the identities behind an interval."""
    folds: Literal[0] | Annotated[int, Field(ge=3, le=20)] = 0
    """Folds over all identities that do not train, for sets too small for three parts: all of them set the thresholds,
    and errors at operating points are measured with the thresholds of other folds. 0 keeps calibration and test
    apart."""
    conservative: bool = False
    """Choose each threshold so that the FMR on as many new identities is at most the target with the confidence of
    `confidence`. Otherwise it is at most the target on the calibration identities, and about as often above as below
    it on new ones."""

    @property
    def parts(self) -> tuple[Part, Part]:
        """The part that sets the thresholds, and the one that is measured."""
        return ("held_out", "held_out") if self.folds else ("calibration", "test")

    def rules(self) -> Rules:
        """Offer the default operating point and what may replace it."""
        names = ["eer", "accuracy", *map(operating_point_name, self.fmr_targets)]
        yield self.operating_point in names, "operating_point", self.operating_point, f"one of {', '.join(names)}"
        yield set(self.fallback) <= set(names), "fallback", self.fallback, f"a list of names among {', '.join(names)}"


@section("evaluation")
class EvaluationConfig:
    """Measurements on the test identities beside the error rates."""

    metadata: FilePath | None = None
    """CSV with a column `path` or `identity` and any others, such as camera or age band; errors are measured for each
    group of a column."""
    pairs: FilePath | None = None
    """File of pairs to verify, `path_a,path_b,same[,fold]` or LFW's format."""
    one_shot: Literal[0] | Annotated[int, Field(ge=2, le=1_000_000)] = 0
    """Identities in a one-shot task within the test identities' folders; 0 for none."""
    robustness: bool = True
    """Measure errors on images that are blurred, darkened, turned … too."""


@section("promotion")
class PromotionConfig:
    """The gate between a challenger and the champion.

    Whatever is set here, it lets nothing pass without a default operating point, with a default whose FMR on test
    identities is measurably above its target, or with a looser default than the champion's.
    """

    max_eer_increase: Fraction = 0.0
    """Largest amount by which the challenger's EER may exceed the champion's on the same test pairs."""
    max_fnmr_increase: Fraction = 0.0
    """Largest amount by which the challenger's FNMR may measurably exceed the champion's, both at the FMR that is the
    target of the champion's default operating point, on the same test pairs."""
    max_fmr_increase: Fraction = 0.0
    """Largest amount by which the challenger's FMR at its default operating point may measurably exceed the champion's
    at its own, on the same test pairs."""
    max_eer: Fraction | None = None
    """Highest EER of a champion, the first one included; any where it is not set."""
    max_fnmr: Fraction | None = None
    """Highest FNMR of a champion at its default operating point, the first one included; any where it is not set."""
    must_beat: Annotated[tuple[Literal["raw_pixels", "pca"], ...], Field(max_length=2)] = ("raw_pixels",)
    """Baselines whose EER a champion must be below, the first one included: `raw_pixels`, and `pca` for principal
    components."""


@section("retain")
class RetainConfig:
    """Earlier runs that `siamese retrain` keeps; before it starts it removes the others."""

    runs: Count = 5
    """Newest runs of the model name that stay whole: decoded images, weights, evaluation and records. Runs of versions
    with an alias, such as the champion's, stay whole as well; of other registered versions' only the images go."""


def operating_point_name(fmr: float) -> str:
    """The name of the operating point with this target, such as `fmr_1e-2` for 0.01."""
    mantissa, exponent = f"{fmr:e}".split("e")
    return f"fmr_{float(mantissa):g}e{int(exponent)}"
