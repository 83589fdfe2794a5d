"""Results of an evaluation, as plain values that JSON can hold."""

from __future__ import annotations

from dataclasses import dataclass

from siamese_core.metrics.rates import Rate


@dataclass(frozen=True)
class PointResult:
    """The result of an operating point on the test identities.

    Attributes:
        threshold: The calibrated threshold.
        target_fmr: The false-match rate it was calibrated for, or None.
        fmr: Realised false-match rate.
        fnmr: Realised false-non-match rate.
        accuracy: 1 − (FMR + FNMR) / 2: as many genuine as impostor pairs.
    """

    threshold: float
    target_fmr: float | None
    fmr: Rate
    fnmr: Rate
    accuracy: float

    @property
    def above_target(self) -> bool:
        """Whether the FMR is measurably above its target: its whole interval is."""
        return self.target_fmr is not None and self.fmr.low > self.target_fmr


@dataclass(frozen=True)
class Curves:
    """Points of the plots.

    Attributes:
        fmr: Points of the ROC, ascending.
        fnmr: Points of the ROC, descending.
        bins: Edges of the histograms, squared L2.
        genuine: Density of genuine distances in each bin.
        impostor: Density of impostor distances in each bin.
        fnmr_low: Lower end of the interval of each `fnmr`.
        fnmr_high: Upper end.
        thresholds: Threshold of each point of the ROC.
    """

    fmr: list[float]
    fnmr: list[float]
    bins: list[float]
    genuine: list[float]
    impostor: list[float]
    fnmr_low: list[float]
    fnmr_high: list[float]
    thresholds: list[float]


@dataclass(frozen=True)
class SystemResult:
    """One way to compare images, calibrated on the calibration identities and measured on the test identities.

    Attributes:
        eer: Equal error rate on the test pairs.
        auc: Area under the ROC.
        points: Results by operating point.
        curves: Points of the plots.
    """

    eer: float
    auc: float
    points: dict[str, PointResult]
    curves: Curves


@dataclass(frozen=True)
class Figures:
    """Figures that do not depend on an operating point.

    Attributes:
        sensitivity: d′, or None where distances do not vary.
        cllr: Log-likelihood-ratio cost of the calibrated probabilities, in bits.
        min_cllr: The same at the best calibration there could be.
        rank_1: Share of searches that find their identity first, in a gallery of one image an identity.
        gallery: Identities in that gallery.
        searches: Images that were searched for.
        tar: True accept rate by the FMR at which it is measured, `fmr_1e-1` …; thresholds from all test pairs.
        refused: Name → why the test pairs cannot support this FMR.
        tar_impostor_pairs: Number of impostor pairs that those thresholds come from.
        cmc: Share of searches that find their identity among the first k, by k (closed set).
        identified: Share of searches that find their identity first and below the threshold (DIR), by the share of
            searches for somebody who is not in the gallery that raise a false alarm (open set).
    """

    sensitivity: float | None
    cllr: float
    min_cllr: float
    rank_1: float
    gallery: int
    searches: int
    tar: dict[str, float]
    refused: dict[str, str]
    tar_impostor_pairs: int
    cmc: dict[int, float]
    identified: dict[str, float]

    def metrics(self) -> dict[str, float]:
        """The figures by name, for a tracker."""
        flat = {"test_cllr": self.cllr, "test_min_cllr": self.min_cllr, "test_rank_1": self.rank_1}
        flat |= {f"test_tar_at_{name}": rate for name, rate in self.tar.items()}
        flat |= {f"test_rank_{rank}": share for rank, share in self.cmc.items()}
        flat |= {f"test_dir_at_{rate}": share for rate, share in self.identified.items()}
        return flat if self.sensitivity is None else flat | {"test_d_prime": self.sensitivity}


@dataclass(frozen=True)
class Difference:
    """A rate of challenger and champion on the same pairs.

    Attributes:
        challenger: The challenger's.
        champion: The champion's.
        low: Lower end of the interval of the difference, challenger minus champion.
        high: Upper end.
    """

    challenger: float
    champion: float
    low: float
    high: float

    @property
    def value(self) -> float:
        """Challenger minus champion: below zero is better."""
        return self.challenger - self.champion

    @property
    def standing(self) -> str:
        """The difference in words, the same for the gate and the report; measurable without zero in its interval."""
        if self.high < 0:
            return "measurably better"
        if self.low > 0:
            return "measurably worse"
        if self.value == 0:
            return "equal"
        return f"{'better' if self.value < 0 else 'worse'}, within the noise"

    def __str__(self) -> str:
        return (
            f"{self.challenger:.2%} against the champion's {self.champion:.2%}, difference {self.value:+.2%} "
            f"({self.low:+.2%} to {self.high:+.2%})"
        )


@dataclass(frozen=True)
class Comparison:
    """Two models on the same pairs.

    Attributes:
        eer: Equal error rates.
        fixed_fmr: Target of the champion's default operating point, or of the challenger's where that has none, or
            None.
        fnmr: FNMR of each at the threshold that keeps `fixed_fmr` on these pairs; None where there is none.
        fmr: FMR of each at its own default threshold; None where one has none.
        confidence: Level of the intervals.
    """

    eer: Difference
    fixed_fmr: float | None
    fnmr: Difference | None
    fmr: Difference | None
    confidence: float

    @property
    def fnmr_name(self) -> str:
        """Words for `fnmr`."""
        return f"FNMR at FMR {self.fixed_fmr or 0:.6g}"

    @property
    def fmr_name(self) -> str:
        """Words for `fmr`."""
        return "FMR at the default operating point"

    @property
    def figures(self) -> dict[str, Difference]:
        """All that was compared, by its name."""
        every = {"EER": self.eer, self.fnmr_name: self.fnmr, self.fmr_name: self.fmr}
        return {name: difference for name, difference in every.items() if difference}

    def __str__(self) -> str:
        figures = "; ".join(f"{name} {difference}" for name, difference in self.figures.items())
        return f"{figures}, on the same test pairs with {self.confidence:.0%} intervals"


@dataclass(frozen=True)
class ChampionResult:
    """The champion on the pairs that the challenger was measured on.

    Attributes:
        version: Which version was champion then; the gate compares anew if another one is now.
        default: Name of its default operating point; None where it has none.
        comparison: The challenger against it, or None where it reads its images in another way: then there are no
            pairs that both can be measured on.
        points: Results of the champion's operating points on these pairs, at its own calibrated thresholds.
        left_out: Number of test identities that trained the champion, and are no part of the comparison.
    """

    version: str
    default: str | None
    comparison: Comparison | None
    points: dict[str, PointResult]
    left_out: int = 0

    def __str__(self) -> str:
        if self.comparison is None and self.left_out:
            return f"version {self.version} was trained on so many test identities that too few stay to compare the two"
        if self.comparison is None:
            return (
                f"version {self.version} reads its images in another way, so the two cannot be compared on the same "
                "pairs"
            )
        return f"compared with version {self.version}{self.left_out_words}: {self.comparison}"

    @property
    def left_out_words(self) -> str:
        """Number of test identities left out, in words; empty where none is."""
        return f", without {self.left_out:,} test identities that trained it" if self.left_out else ""


@dataclass(frozen=True)
class ReliabilityBin:
    """Pairs whose probability of "same" is about equal, and the share of genuine ones among them.

    Attributes:
        probability: Mean of the probabilities that the calibration gave.
        genuine: Share of genuine pairs, where both kinds weigh the same in all.
        low: Lower end of its interval.
        high: Upper end of its interval.
        pairs: Number of pairs.
    """

    probability: float
    genuine: float
    low: float
    high: float
    pairs: int


@dataclass(frozen=True)
class Slice:
    """Error rates of a group of images at the threshold of `Evaluation.reference`, the same for all groups.

    Attributes:
        column: What the images are grouped by, such as `camera` or `brightness`.
        value: The group, such as `phone` or `darkest third`.
        other: Group of the other image of each pair: the same for pairs within a group.
        source: `metadata` for a column that the user brought, `quality` for one that was measured on the images.
        identities: Identities in the pairs.
        fmr: None where there is no impostor pair.
        fnmr: None where there is no genuine pair.
        gap: What is measurably worse than in all pairs, in words; empty where nothing is.
    """

    column: str
    value: str
    other: str
    source: str
    identities: int
    fmr: Rate | None
    fnmr: Rate | None
    gap: str

    @property
    def group(self) -> str:
        """The groups of the two images of its pairs, in words."""
        return self.value if self.value == self.other else f"{self.value} with {self.other}"


@dataclass(frozen=True)
class RobustnessCurve:
    """Errors at the threshold of `Evaluation.reference` when one image of each pair is made worse.

    Attributes:
        change: What is done to the image, such as `blur`.
        unit: Of the levels, such as `pixels`.
        levels: How strongly, ascending; the first is no change.
        fnmr: False-non-match rate at each level.
        fmr: False-match rate at each level.
    """

    change: str
    unit: str
    levels: list[float]
    fnmr: list[float]
    fmr: list[float]


@dataclass(frozen=True)
class EmbeddingMap:
    """Embeddings of some test images in the plane.

    Attributes:
        method: How they came into the plane, in words.
        rows: Rows of the image store.
        x: A place for each row.
        y: A place for each row.
    """

    method: str
    rows: list[int]
    x: list[float]
    y: list[float]
