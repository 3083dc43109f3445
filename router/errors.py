"""Errors of the router. A message names the file, row or key and the value found there.

RouterError
├── DataError       evaluation data that cannot be used
├── ArtifactError   a checkpoint, encoder or model space that cannot be read, or does not fit the others
└── MissingPackage  an optional package that is not installed
"""


class RouterError(Exception):
    pass


class DataError(RouterError):
    pass


class ArtifactError(RouterError):
    pass


class MissingPackage(RouterError):
    pass
