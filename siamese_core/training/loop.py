"""Training of the Siamese encoder on P×K batches with online triplet mining."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

import torch

from siamese_core.config import EncoderConfig, TrainingConfig
from siamese_core.data.dataset import Dataset, Images
from siamese_core.devices import choose_device, describe_device
from siamese_core.errors import ConfigError
from siamese_core.metrics.pairs import few_of_each
from siamese_core.network.embedding import embed
from siamese_core.network.encoders import Encoder, make_encoder
from siamese_core.network.trained import TrainedEncoder
from siamese_core.network.trained_on import TrainedOn
from siamese_core.progress import Progress, track
from siamese_core.training.batches import BatchLoader
from siamese_core.training.checkpoint import CheckpointFile, GlobalRandom, State, Stateful, fingerprint
from siamese_core.training.collapse import CollapseMonitor
from siamese_core.training.dihedral import DihedralImages
from siamese_core.training.health import Health
from siamese_core.training.learner import Learner
from siamese_core.training.partners import HardPartners
from siamese_core.training.recipe import Recipe
from siamese_core.training.sampling import PKSampler
from siamese_core.training.speed import Speed
from siamese_core.training.validation import Best, History, Validation, hold_out
from siamese_core.triplets.mining import Miner
from siamese_core.triplets.offline import Triplets

logger = logging.getLogger(__name__)

_CHECK_EVERY = 25  # steps between two looks at the health of the batches
_NEIGHBOURS, _IMAGES_FOR_MEAN = 10, 4  # of each identity, when the hard partners are refreshed


def train(
    data: Dataset,
    triplets: Triplets,
    recipe: Recipe,
    start: TrainedEncoder | None = None,
    checkpoint: Callable[[str], CheckpointFile] | None = None,
    miner: Miner | None = None,
) -> tuple[TrainedEncoder, dict[str, float]]:
    """Train an encoder and keep the weights with the lowest EER on held-out identities.

    Args:
        data: Its train identities are learned from.
        triplets: Hard triplets and confusable identities of this data set.
        recipe: Network, loop and seed; the same recipe gives the same bits on a CPU.
        start: Weights to start from instead of fresh ones; its architecture must be the configured one.
        checkpoint: Gives the file for a run's fingerprint. The run is saved there at every validation, and resumes
            from there if it was killed: on a CPU with the same bits as if it had not been.
        miner: A rule of one's own in place of `training.mining`; a checkpoint knows it by its name.

    Returns:
        The trained encoder, and how fast it went: `images_per_second`, `compute_images_per_second` (of the same loop
        on one batch that is already there), `data_wait` (share of the time spent waiting for a batch), `seconds`.

    Raises:
        DataError: Fewer than two identities have two images.
        ConfigError: `training.device` does not exist here, or a frozen body has no weights.
        TrainingError: The loss is no longer finite, or the encoder collapsed for good.
    """
    torch.manual_seed(recipe.seed)
    device = choose_device(recipe.training.device)
    encoder = _first_encoder(recipe, data.config.channels, start)
    images = data.part("train")
    file = checkpoint(_fingerprint(data, triplets, encoder, recipe, miner)) if checkpoint else None
    run = _Run(images, triplets, encoder.to(device), recipe, miner)
    run.resume(file.load() if file else None)
    logger.info(f"training on {describe_device(device)}")
    with track("train", recipe.training.steps, "steps", run.history.step) as progress:
        for last in _validation_steps(run.history.step, recipe.training):
            run.learn(last, progress)
            run.validate(progress)
            run.refresh_partners()
            if file is not None:
                file.save(run.state_dict())
    best, history, events = run.best, run.history.rows, run.monitor.events
    trained_on = TrainedOn.of(images.names, *records_of_start(recipe.encoder, start))
    trained = TrainedEncoder(best.weights, recipe.encoder, data.config, history, best.step, events, trained_on)
    return trained, run.speed.figures(run.learner, run.loader.seconds_waited)


def records_of_start(encoder: EncoderConfig, start: TrainedEncoder | None) -> list[TrainedOn | None]:
    """Find the records of who trained the weights that a run starts from: None without one, no item for fresh weights.

    A weights file in the folder of an exported model has its record beside it.
    """
    if start is not None:
        return [start.trained_on]
    return [TrainedOn.find(Path(encoder.weights_file).parent)] if encoder.weights_file else []


def _first_encoder(recipe: Recipe, channels: int, start: TrainedEncoder | None) -> Encoder:
    encoder = make_encoder(recipe.encoder, channels, recipe.seed)
    if start is not None:
        encoder.load_state_dict(start.state)
    elif recipe.encoder.freeze == "body" and recipe.encoder.weights_file is None:
        raise ConfigError(
            "encoder.freeze is 'body', but there are no weights to freeze: name encoder.weights_file, or set "
            "training.warm_start with a champion of this architecture."
        )
    return encoder


def _fingerprint(data: Dataset, triplets: Triplets, encoder: Encoder, recipe: Recipe, miner: Miner | None) -> str:
    """All that decides the bits of a run; the first weights stand for a weights file and a warm start."""
    tables = [str(table.to_numpy().tolist()) for table in (triplets.table, triplets.graph)]
    weights = [value.cpu().numpy() for value in encoder.state_dict().values()]
    images, rule = data.part("train"), getattr(miner, "__qualname__", repr(miner))
    return fingerprint(data.manifest.sha256(), data.config, images.rows, images.names, recipe, rule, *tables, *weights)


def _validation_steps(done: int, config: TrainingConfig) -> list[int]:
    """The steps after which there is a validation: multiples of `evaluate_every` beyond `done`, and the last step."""
    steps = [*range(config.evaluate_every, config.steps, config.evaluate_every), config.steps]
    return [step for step in steps if step > done]


class _Run:
    """The parts of one training run, and the stages between two validations."""

    def __init__(
        self, images: Images, triplets: Triplets, encoder: Encoder, recipe: Recipe, miner: Miner | None
    ) -> None:
        config, seed = recipe.training, recipe.seed
        images, held_out = hold_out(images, config.validation, seed)
        self.config, self.samples = config, DihedralImages(images, config.symmetries)
        hard = HardPartners.offline(triplets, self.samples)
        self.sampler = PKSampler(self.samples.labels(), config, seed, hard, self.samples.siblings())
        device = next(encoder.parameters()).device
        self.loader = BatchLoader(self.samples, self.sampler, config.augment, seed, device)
        self.learner = Learner(encoder, config, miner)
        self.monitor = CollapseMonitor(config, self.learner.weights())
        self.validation = Validation(held_out, seed)
        self.best, self.history, self.speed = Best(), History(), Speed()
        self._parts: dict[str, Stateful] = {
            "sampler": self.sampler,
            "learner": self.learner,
            "monitor": self.monitor,
            "best": self.best,
            "history": self.history,
            "random": GlobalRandom(),
        }

    def learn(self, last: int, progress: Progress) -> None:
        """Learn from the batches up to step `last`, and add a row to the history."""
        first, started = self.history.step, time.perf_counter()
        means: list[Health] = []
        for step, batch in self.loader.run(first, last):
            self.learner.learn(step, batch)
            if (step + 1 - first) % _CHECK_EVERY == 0 or step + 1 == last:
                means.append(self._check(step + 1))
            self.speed.count(batch)
            progress.advance()
        self.speed.seconds += time.perf_counter() - started
        rate = self.learner.rate(last - 1)
        self.history.rows.append({"step": last, **Health.mean(means).figures(), "learning_rate": rate})

    def _check(self, step: int) -> Health:
        """Read the health of the last batches, and do what the monitor says."""
        health = self.learner.read()
        if recovery := self.monitor.check(step, health):
            self.learner.soften(*recovery)
        self.monitor.remember(self.learner.weights())
        return health

    def validate(self, progress: Progress) -> None:
        """Measure the weights, and keep them if they are the best."""
        row = self.history.rows[-1]
        row["validation_eer"] = self.validation.eer(self.learner.average)
        self.best.offer(self.learner.average, self.history.step, row["validation_eer"])
        progress.note(loss=row["loss"], active=row["active"], validation_eer=row["validation_eer"])

    def refresh_partners(self) -> None:
        """Find the identities that are confused now, if it is time to."""
        step, every = self.history.step, self.config.refresh_every
        if every and step % every == 0 and step < self.config.steps:
            images = self.samples.images
            positions = few_of_each(images.labels, _IMAGES_FOR_MEAN)
            embeddings = embed(self.learner.average, images.pixels, images.rows[positions])
            self.sampler.replace_hard(HardPartners.current(embeddings, positions, self.samples, _NEIGHBOURS))

    def state_dict(self) -> State:
        """The state of every part."""
        return {name: part.state_dict() for name, part in self._parts.items()}

    def resume(self, state: State | None) -> None:
        """Take over the state of an interrupted run, if there is one."""
        if state is None:
            return
        for name, part in self._parts.items():
            part.load_state_dict(state[name])
        logger.info(f"resuming the interrupted run at step {self.history.step:,}")
