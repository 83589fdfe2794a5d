"""A verifier that nobody trained, for the tests of what is measured on it."""

from siamese_core.config import CalibrationConfig, EncoderConfig
from siamese_core.data.dataset import Dataset
from siamese_core.evaluation.held_out import calibrate_encoder
from siamese_core.network.encoders import make_encoder
from siamese_core.network.trained import TrainedEncoder
from siamese_core.verifier import Verifier

CONFIG = CalibrationConfig(bootstrap=50, operating_point="fmr_1e-1")  # as much as 12 identities support
SEED = 3


def untrained(data: Dataset, seed: int = 0) -> Verifier:
    """An encoder with the weights of a seed, with thresholds of its own."""
    config = EncoderConfig(width=4, embedding_dim=8)
    health = {"distance": 1.0, "effective_rank": 3.0, "learning_rate": 0.1}
    history = [{"step": step, "loss": 2.0, "validation_eer": 0.3} | health for step in (60, 120)]
    state = make_encoder(config, data.config.channels, seed).state_dict()
    trained = TrainedEncoder(state, config, data.config, history, 60)
    return Verifier(trained, calibrate_encoder(trained, data, CONFIG, SEED))
