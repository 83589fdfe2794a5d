"""Verify two images with an exported model, without ZenML and MLflow.

    python examples/verify_two_images.py MODEL_FOLDER A B

MODEL_FOLDER is what `Verifier.save` wrote, or the folder `artifacts/verifier` of a registered model.
"""

import sys

from siamese_core import Verifier


def main(folder: str, first: str, second: str) -> None:
    """Print the answer at the default operating point, and at every other one."""
    verifier = Verifier.load(folder)
    answer = verifier.verify(first, second)
    print(f"{'same' if answer.same else 'different'}, probability of the same identity {answer.probability:.1%}")
    for name, point in verifier.calibration.points.items():
        print(f"  {name:<9} {'same' if answer.distance < point.threshold else 'different'}")


if __name__ == "__main__":
    main(*sys.argv[1:])
