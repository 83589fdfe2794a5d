"""Siamese verification: images, sampling, mining, losses, encoders, training, calibration, metrics.

Depends on PyTorch, NumPy, pandas and the like, never on ZenML, MLflow or Great Expectations, so that it
also runs on a bare GPU machine and inside the registered model.

Synopsis::

    from siamese_core import Verifier

    verifier = Verifier.load("exported-model/")
    print(verifier.verify("a.png", "b.png"))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from siamese_core.verifier import Verifier

__version__ = "0.1.0"
__all__ = ["Verifier", "__version__"]


def __getattr__(name: str) -> Any:
    """Imports `Verifier` on first use: `import siamese_core` alone does not load PyTorch."""
    if name == "Verifier":
        from siamese_core.verifier import Verifier

        return Verifier
    raise AttributeError(f"module 'siamese_core' has no attribute {name!r}")
