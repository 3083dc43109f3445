"""Reads text and YAML files that a command names."""

from pathlib import Path

from router.errors import DataError


def read_text(path: Path) -> str:
    """The text of a UTF-8 file.

    Raises:
        DataError: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise DataError(f"{path}: unreadable: {exc}") from exc


def read_yaml(path: Path) -> object:
    """The value of a YAML or JSON file.

    Raises:
        DataError: it cannot be read, or is not YAML.
    """
    import yaml  # reads JSON too

    try:
        value: object = yaml.safe_load(read_text(path))
    except yaml.YAMLError as exc:
        kind = "neither JSON nor YAML" if path.suffix == ".json" else "not YAML"
        raise DataError(f"{path}: {kind}: {exc}") from exc
    return value
