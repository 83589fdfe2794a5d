"""One lock a model name, for training, promotion and rollback, over the processes and machines of one registry.

The lock is an entry of the MLflow registry beside the model, `NAME@lock`: to create an entry is the one thing that a
registry does for exactly one of several who try at once. It names its holder. It is taken over where the holder's
process is gone on this machine, or where a holder on another one has not renewed it for ten minutes.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from uuid import uuid4

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from siamese_core.errors import BusyError, ModelError
from siamese_integrations.processes import Process

logger = logging.getLogger(__name__)

# Said to processes that this one starts: they work under its lock.
_HELD = "SIAMESE_MODEL_LOCK"
WAIT = "SIAMESE_WAIT"
_LEASE, _RENEW_EVERY, _LOOK_EVERY = 600.0, 60.0, 1.0  # seconds
_HOLDER, _RENEWED = "holder", "renewed"


@dataclass(frozen=True)
class Holder:
    """Holder of a lock.

    Attributes:
        token: Tells this holding from any other.
        purpose: For people, such as "training run NAME".
        process: The holder's.
        since: When it took the lock, ISO 8601.
        renewed: When it last said that it is alive, in seconds since 1970.
    """

    token: str
    purpose: str
    process: Process
    since: str
    renewed: float

    @property
    def gone(self) -> bool:
        """Whether the lock may be taken over."""
        return self.process.gone if self.process.here else time.time() - self.renewed > _LEASE

    def __str__(self) -> str:
        return f"{self.purpose} ({self.process}, since {self.since})"


@contextmanager
def model_lock(name: str, purpose: str, wait: bool = False) -> Iterator[None]:
    """Hold a model's lock inside the block; a process that works under the lock already goes on.

    Args:
        name: Of the registered model, in MLflow's registry of the moment.
        purpose: For those who find the lock taken.
        wait: Wait for another holder instead of declining.

    Raises:
        BusyError: Another holder is at work.
    """
    # One client for the whole block: ZenML points MLflow elsewhere when a run has ended.
    client = MlflowClient()
    if _holds(client, name):
        yield
        return
    token = _take(client, name, purpose, wait)
    before, os.environ[_HELD] = os.environ.get(_HELD), token
    stop = threading.Event()
    thread = threading.Thread(target=_renew, args=(client, name, token, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(_LOOK_EVERY)
        if before is None:
            os.environ.pop(_HELD, None)
        else:
            os.environ[_HELD] = before
        _release(client, name, token)


def check_held(name: str) -> None:
    """Make sure that this process, or the one that started it for this work, holds a model's lock at this moment.

    Raises:
        BusyError: Somebody has taken it over: this machine was suspended or cut off for longer than the lock lasts.
    """
    client = MlflowClient()
    if not _holds(client, name):
        holder = _holder(client, name) or "another run, which has ended"
        raise BusyError(f"The lock of {name} was lost to {holder}: the champion stays. Run again.")


def _holds(client: MlflowClient, name: str) -> bool:
    token = os.environ.get(_HELD)
    holder = _holder(client, name) if token else None
    return holder is not None and holder.token == token


def _holder(client: MlflowClient, name: str) -> Holder | None:
    """The present holder of a model's lock."""
    try:
        tags = client.get_registered_model(_entry(name)).tags
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    if _HOLDER not in tags:  # the registry reads an entry, then its tags; it was deleted in between
        return None
    values = json.loads(tags[_HOLDER])
    renewed = float(tags.get(f"{_RENEWED}.{values['token']}", values["renewed"]))
    return Holder(values["token"], values["purpose"], Process(**values["process"]), values["since"], renewed)


def _entry(name: str) -> str:
    return f"{name}@lock"  # @ is in no name that the configuration takes


def _take(client: MlflowClient, name: str, purpose: str, wait: bool) -> str:
    waiting = False
    while True:
        holder = Holder(uuid4().hex, purpose, Process.this(), _now(), time.time())
        if _create(client, name, holder):
            return holder.token
        other = _holder(client, name)
        if other is None:
            continue
        if other.gone:
            _take_away(client, name, other)
            continue
        if not wait:
            raise BusyError(f"{name} is busy: {other}. Wait for its end, or end that process.")
        if not waiting:
            logger.info(f"waiting: {name} is busy: {other}")
            waiting = True
        time.sleep(_LOOK_EVERY)


def _create(client: MlflowClient, name: str, holder: Holder) -> bool:
    """Create the entry, whole and with its holder; one of several who try succeeds."""
    words = f"Lock of {name}, held by {holder}. It goes when that ends; do not delete it."
    try:
        client.create_registered_model(_entry(name), {_HOLDER: json.dumps(asdict(holder))}, words)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST"):  # there, or gone by now
            return False
        raise ModelError(f"The lock of {name} cannot be written to the registry: {error.message}") from error
    return True


def _take_away(client: MlflowClient, name: str, holder: Holder) -> None:
    """Remove the lock of a holder that is gone.

    By a new name first, made of the holding's token: of several who try, one can give it, and nobody who comes late
    can give it to the next holder's entry.
    """
    grave = f"{_entry(name)}-{holder.token}"
    try:
        client.rename_registered_model(_entry(name), grave)
    except MlflowException:
        return
    logger.warning(f"the lock of {name} was left by {holder}, which is gone: taking it over")
    # Late comers have looked by now.
    time.sleep(_LOOK_EVERY)
    with suppress(MlflowException):
        client.delete_registered_model(grave)


def _renew(client: MlflowClient, name: str, token: str, stop: threading.Event) -> None:
    """Say every minute that the holder is alive; the tag carries the token, so it is nothing to another holder."""
    while not stop.wait(_RENEW_EVERY):
        try:
            client.set_registered_model_tag(_entry(name), f"{_RENEWED}.{token}", str(time.time()))
        except Exception as error:
            logger.debug(f"the lock of {name} could not be renewed: {error}")


def _release(client: MlflowClient, name: str, token: str) -> None:
    holder = _holder(client, name)
    if holder and holder.token == token:
        client.delete_registered_model(_entry(name))


def _now() -> str:
    return datetime.now(UTC).isoformat(" ", "seconds").removesuffix("+00:00") + " UTC"
