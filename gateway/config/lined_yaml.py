"""YAML as other programs write it, with the line of every key: anchors, merges (`<<`) and all; values never show.

Our own files are read more strictly, by `gateway.config.portfolio_file`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gateway.config.yaml_file import Scalars, YamlError, line_of, read_yaml

_MERGE, _TIMESTAMP = "tag:yaml.org,2002:merge", "tag:yaml.org,2002:timestamp"


@dataclass(eq=False, slots=True)
class Node:
    """A value with its place.

    Attributes:
        where: such as `model_list[0].model_name`.
        value: a scalar, a dict of nodes or a list of nodes.
        used: the importer has made something of it, or said why not.
        repeats: keys that a later one of the same name replaces, as PyYAML has it.
    """

    file: Path
    line: int
    where: str
    value: Any
    used: bool = False
    repeats: tuple["Node", ...] = ()

    def plain(self) -> Any:
        """The value without lines; everything below counts as used."""
        self.used = True
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def get(self, key: str) -> "Node | None":
        """What a mapping has under a key, unless that is null."""
        node: Node | None = self.value.get(key) if isinstance(self.value, dict) else None
        if node is None or node.value is None:
            if node is not None:
                node.used = True
            return None
        return node

    def children(self) -> list["Node"]:
        if isinstance(self.value, dict):
            return list(self.value.values())
        return self.value if isinstance(self.value, list) else []

    def unused(self) -> Iterator["Node"]:
        """The topmost nodes of which nothing was used."""
        if self.used:
            return
        if any(child.touched() for child in self.children()):
            for child in self.children():
                yield from child.unused()
        elif self.value not in (None, {}, []):
            yield self

    def touched(self) -> bool:
        return self.used or any(child.touched() for child in self.children())


def read_lined(path: Path) -> Node:
    """The document in a file; an empty one is null.

    Raises:
        YamlError: the file cannot be read, is not YAML, or is beyond a limit of `gateway.config.yaml_file`.
    """
    node = read_yaml(path)
    return _Reader(path).read(node, "", 1)


class _Reader:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._scalars = Scalars(path)

    def read(self, node: yaml.Node | None, where: str, line: int) -> Node:
        """Recurses no deeper than `read_yaml` lets a file be."""
        if node is None:
            return Node(self._path, line, where, None)
        if isinstance(node, yaml.MappingNode):
            values: dict[str, Node] = {}
            repeats: list[Node] = []
            for key, value, child_line in self._pairs(node):
                child = self.read(value, f"{where}.{key}".lstrip("."), child_line)
                if key in values:
                    repeats.append(values[key])
                values[key] = child
            return Node(self._path, line, where, values, repeats=tuple(repeats))
        if isinstance(node, yaml.SequenceNode):
            items = [self.read(item, f"{where}[{i}]", line_of(item)) for i, item in enumerate(node.value)]
            return Node(self._path, line, where, items)
        if node.tag == _TIMESTAMP:  # api_version: 2024-02-01
            return Node(self._path, line, where, node.value)
        return Node(self._path, line, where, self._scalars.value(node))

    def _pairs(self, node: yaml.MappingNode) -> list[tuple[str, yaml.Node, int]]:
        """Keys and values; what a merge brings comes first and only where the mapping itself has no such key."""
        own: list[tuple[str, yaml.Node, int]] = []
        merged: dict[str, tuple[str, yaml.Node, int]] = {}
        for key, value in node.value:
            line = line_of(key)
            if key.tag == _MERGE:
                for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    if not isinstance(source, yaml.MappingNode):
                        raise YamlError(f"{self._path}:{line}: `<<` expects a mapping or a list of mappings")
                    for pair in self._pairs(source):
                        merged.setdefault(pair[0], pair)
            elif not isinstance(key, yaml.ScalarNode):
                raise YamlError(f"{self._path}:{line}: a key must be a plain word")
            else:
                own.append((key.value, value, line))
        names = {name for name, _, _ in own}
        return [pair for name, pair in merged.items() if name not in names] + own
