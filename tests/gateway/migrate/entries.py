"""Entries of LiteLLM's `model_list` for unit tests."""

from pathlib import Path

from gateway.config.yaml_reader import read_yaml
from gateway.migrate.import_values import ImportedValues
from gateway.migrate.litellm_models import ModelList


def read_models(
    folder: Path, text: str, *, literals: bool = True, **environment: str
) -> tuple[ModelList, ImportedValues]:
    """The models of a configuration, and the values with their findings and problems."""
    path = folder / "config.yaml"
    path.write_text(text)
    root, values = read_yaml(path, lenient=True), ImportedValues(environment, literals=literals)
    models, entries = ModelList(values, root), root.get("model_list")
    assert entries is not None
    models.read(entries)
    return models, values
