"""Errors of the router. Every message names the file, row or key and the value found.

RouterError
├── DataError      evaluation data that cannot be used
└── ArtifactError  a checkpoint, encoder or space that cannot be read, or does not fit the others
"""


class RouterError(Exception):
    pass


class DataError(RouterError):
    pass


class ArtifactError(RouterError):
    pass
