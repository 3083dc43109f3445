"""Reads a LiteLLM configuration file together with the files that it includes."""

from pathlib import Path

from gateway.config.document import kind_of
from gateway.config.yaml_reader import YamlError, YamlNode, read_yaml
from gateway.migrate.import_values import ImportedValues


def read_with_includes(path: Path, values: ImportedValues) -> YamlNode:
    """The root of a file. As with LiteLLM, an included file extends lists and replaces everything else.

    Raises:
        YamlError: the file cannot be read. Mistakes in it, and in included files, become problems of `values`.
    """
    return _read(path, values, {path.resolve()})


def _read(path: Path, values: ImportedValues, seen: set[Path]) -> YamlNode:
    """The root of a file, extended by the files that it includes and that are not in `seen`."""
    root = read_yaml(path, lenient=True)
    if not isinstance(root.value, dict):
        found = kind_of(root.value)
        values.add_problem(root, f"found {found}, expected a mapping with `model_list`", "the file")
        root.value = {}
    include = root.get("include")
    if include is None:
        return root
    if not isinstance(include.value, list):
        values.wrong_type(include, "a list of files")
        return root
    include.used = True
    for item in include.value:
        item.used = True
        if not isinstance(item.value, str):
            values.wrong_type(item, "the name of a file")
            continue
        other = path.parent / item.value
        if other.resolve() in seen:
            continue
        seen.add(other.resolve())
        try:
            _extend(root, _read(other, values, seen), values)
        except YamlError as exc:
            values.add_problem(item, str(exc))
    return root


def _extend(root: YamlNode, other: YamlNode, values: ImportedValues) -> None:
    for key, node in other.value.items():
        if key == "include":
            continue
        mine = root.value.get(key)
        if mine is not None and isinstance(mine.value, list) and isinstance(node.value, list):
            mine.value += node.value
        else:
            if mine is not None and mine.value is not None:
                values.report(mine, "lost", f"{node.file.name} replaces it, as with LiteLLM")
            root.value[key] = node
