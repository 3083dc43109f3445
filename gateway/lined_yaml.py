"""YAML as other programs write it, with the line of every key: anchors, merges (`<<`) and all; values never show.

Our own files are read more strictly, by `gateway.portfolio_file`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_MOST_NODES = 200_000  # aliases of aliases of aliases grow without end
_DEEPEST = 60
_YAML = "tag:yaml.org,2002:"
_MERGE, _TIMESTAMP = f"{_YAML}merge", f"{_YAML}timestamp"


class YamlError(Exception):
    """A file that is no YAML, or too much of it; the message names file and line."""


@dataclass(eq=False, slots=True)
class Node:
    """A value with its place.

    Attributes:
        where: such as `model_list[0].model_name`.
        value: a scalar, a dict of nodes or a list of nodes.
        used: somebody has made something of it, or said why not.
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
        YamlError: the file cannot be read, or is not YAML.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as exc:
        raise YamlError(f"{path}: no such file") from exc
    except OSError as exc:
        raise YamlError(f"{path}: not readable: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise YamlError(f"{path}: not readable as UTF-8 text") from exc
    try:
        return _Reader(path).read(yaml.compose(text, Loader=yaml.SafeLoader), "", 1, 0)
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        line = 1 if mark is None else mark.line + 1
        what = getattr(exc, "problem", None) or "a character that YAML does not allow"
        what = what.partition(" '")[0]  # an undefined alias or tag is quoted, and may be the beginning of a secret
        raise YamlError(f"{path}:{line}: not valid YAML: {what}") from exc
    except RecursionError as exc:
        raise YamlError(f"{path}:1: not valid YAML: nested too deeply") from exc


class _Reader:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._left = _MOST_NODES

    def read(self, node: yaml.Node | None, where: str, line: int, depth: int) -> Node:
        self._left -= 1
        if self._left < 0 or depth > _DEEPEST:
            raise YamlError(f"{self._path}:{line}: nested too deeply, or an alias inside itself")
        if node is None:
            return Node(self._path, line, where, None)
        if isinstance(node, yaml.MappingNode):
            values: dict[str, Node] = {}
            repeats: list[Node] = []
            for key, value, child_line in self._pairs(node, depth):
                child = self.read(value, f"{where}.{key}".lstrip("."), child_line, depth + 1)
                if key in values:
                    repeats.append(values[key])
                values[key] = child
            return Node(self._path, line, where, values, repeats=tuple(repeats))
        if isinstance(node, yaml.SequenceNode):
            items = [
                self.read(item, f"{where}[{i}]", item.start_mark.line + 1, depth + 1)
                for i, item in enumerate(node.value)
            ]
            return Node(self._path, line, where, items)
        return Node(self._path, line, where, self._scalar(node))

    def _pairs(self, node: yaml.MappingNode, depth: int) -> list[tuple[str, yaml.Node, int]]:
        """Keys and values; what a merge brings comes first and only where the mapping itself has no such key."""
        own: list[tuple[str, yaml.Node, int]] = []
        merged: dict[str, tuple[str, yaml.Node, int]] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            self._left -= 1
            if self._left < 0 or depth > _DEEPEST:
                raise YamlError(f"{self._path}:{line}: nested too deeply, or an alias inside itself")
            if key.tag == _MERGE:
                for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    if not isinstance(source, yaml.MappingNode):
                        raise YamlError(f"{self._path}:{line}: `<<` expects a mapping or a list of mappings")
                    for pair in self._pairs(source, depth + 1):
                        merged.setdefault(pair[0], pair)
            elif not isinstance(key, yaml.ScalarNode):
                raise YamlError(f"{self._path}:{line}: a key must be a plain word")
            else:
                own.append((key.value, value, line))
        names = {name for name, _, _ in own}
        return [pair for name, pair in merged.items() if name not in names] + own

    def _scalar(self, node: yaml.Node) -> Any:
        assert isinstance(node, yaml.ScalarNode)
        if node.tag == _TIMESTAMP:  # api_version: 2024-02-01
            return node.value
        try:
            return yaml.SafeLoader("").construct_object(node)
        except (ValueError, KeyError, AttributeError, yaml.YAMLError) as exc:
            known, _, kind = node.tag.partition(_YAML)  # anything else is a name in the file, which may be a secret
            what = "a tag that is not known" if known or not kind else f"not a valid {kind}"
            raise YamlError(f"{self._path}:{node.start_mark.line + 1}: not valid YAML: {what}") from exc
