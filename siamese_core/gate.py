"""The promotion gate: does the challenger replace the champion?"""

from __future__ import annotations

from dataclasses import dataclass

from siamese_core.config import PromotionConfig


@dataclass(frozen=True)
class Decision:
    """The gate's answer.

    Attributes:
        promote: Whether the challenger becomes the champion.
        reason: Why, in words.
    """

    promote: bool
    reason: str


def decide(challenger_eer: float, champion_eer: float, config: PromotionConfig) -> Decision:
    """Compares two equal error rates that were measured on the same test pairs."""
    words = f"EER {challenger_eer:.2%} against the champion's {champion_eer:.2%} on the same test pairs"
    if challenger_eer <= champion_eer + config.max_eer_increase:
        return Decision(True, f"not worse: {words}")
    return Decision(False, f"worse: {words} (promotion.max_eer_increase is {config.max_eer_increase:g})")
