"""Errors that a user can act on. Their message names the file, identity or value, and the way out."""

from __future__ import annotations


class SiameseError(Exception):
    """Base of all errors that are the input's fault and not the program's."""


class ConfigError(SiameseError):
    """A configuration value or key is wrong."""


class DataError(SiameseError):
    """The images, identities or a table cannot be used as they are."""


class UnreadableImageError(DataError):
    """One image cannot be decoded; the message is the reason, without the file's name."""


class ModelError(SiameseError):
    """A model is missing or its files do not fit together."""


class TrainingError(SiameseError):
    """Training cannot go on."""
