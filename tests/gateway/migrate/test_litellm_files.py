"""A LiteLLM configuration with included files."""

from pathlib import Path

import pytest

from gateway.config.yaml_reader import YamlError
from gateway.migrate.import_values import ImportedValues
from gateway.migrate.litellm_files import read_with_includes


def read(folder: Path, **files: str) -> tuple[object, ImportedValues]:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    values = ImportedValues({}, literals=True)
    return read_with_includes(folder / "main.yaml", values).plain(), values


def test_an_included_file_extends_lists_and_replaces_the_rest(tmp_path: Path) -> None:
    root, values = read(
        tmp_path,
        main="include: [other.yaml]\nmodel_list: [a]\nrouter_settings: {x: 1}\n",
        other="model_list: [b]\nrouter_settings: {y: 2}\n",
    )
    assert root == {"include": ["other.yaml"], "model_list": ["a", "b"], "router_settings": {"y": 2}}
    assert [str(f).removeprefix(f"{tmp_path}/") for f in values.findings] == [
        "main.yaml:3: router_settings: other.yaml replaces it, as with LiteLLM"
    ]


def test_files_that_include_each_other_are_read_once(tmp_path: Path) -> None:
    root, values = read(tmp_path, main="include: [other.yaml]\na: [1]\n", other="include: [main.yaml]\na: [2]\n")
    assert root == {"include": ["other.yaml"], "a": [1, 2]}
    assert not values.problems


def test_a_missing_include_is_a_problem_and_a_missing_file_an_error(tmp_path: Path) -> None:
    _, values = read(tmp_path, main="include: [none.yaml]\n")
    assert [p.line for p in values.problems] == [1]
    with pytest.raises(YamlError, match="no such file"):
        read_with_includes(tmp_path / "none.yaml", ImportedValues({}, literals=True))
