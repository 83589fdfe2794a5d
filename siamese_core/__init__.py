"""Siamese verification: from folders of images to a calibrated verifier.

Depends on PyTorch, NumPy, pandas and the like, never on ZenML, MLflow or Great Expectations, so that it also runs on a
bare GPU machine and inside the registered model. The public names are listed in `__init__.pyi`, and each is imported
when it is first used: `import siamese_core` alone does not load PyTorch.

Synopsis::

    from siamese_core import Verifier

    verifier = Verifier.load("exported-model/")
    print(verifier.verify("a.png", "b.png"))
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
