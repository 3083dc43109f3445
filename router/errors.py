"""Errors of the router. A message names the file, row or key and the value found there.

RouterError
├── DataError       evaluation data that cannot be used
├── ArtifactError   a checkpoint, encoder or model space that cannot be read, or does not fit the others
├── EngineError     an engine for parallel jobs that does not exist or does not answer
└── MissingPackage  an optional package that is not installed
"""


class RouterError(Exception):
    """The base of all errors of the router."""


class DataError(RouterError):
    """Evaluation data cannot be used."""


class ArtifactError(RouterError):
    """A checkpoint, encoder or model space cannot be read or does not fit the others, or a name is not in the space."""


class EngineError(RouterError):
    """An engine for parallel jobs does not exist, or no scheduler answers at its address."""


class MissingPackage(RouterError):
    """An optional package is not installed; the message has the command that installs it."""
