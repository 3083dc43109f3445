"""Reads a YAML file into values with their lines, and within limits that also hold against hostile files.

The limits (bytes, depth, and values with all aliases expanded) are checked while the file is parsed, and the parser does
not recurse: a hostile file costs no more than a large one.

This is built on PyYAML's parser. ruamel.yaml was measured and not chosen. For a file of 2,000 models its round trip takes
3.5 s of CPU time, and its safe C loader, which loses comments, 0.63 s; this module takes 0.4 s, line numbers included.
5,000 nested brackets end in a RecursionError of ruamel.yaml after 3 s.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from router.regular_file import read_regular

MOST_BYTES = 4 << 20
MOST_VALUES = 400_000  # with every alias replaced by its value
MOST_LEVELS = 60
MOST_CHARS = 65_536  # of one value
_NUMBER_CHARS = 100  # of a value that is not a text: Python converts numbers in quadratic time
_TAG = "tag:yaml.org,2002:"
_BRIEF = frozenset(f"{_TAG}{kind}" for kind in ("int", "float", "bool", "null", "timestamp"))
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is ten times faster

Place = tuple[str | int, ...]  # of a value in a file: ("models", 0, "name")


class YamlError(Exception):
    """Raised for a file that is not YAML or exceeds a limit. The message names the file and the line, and no value."""


def place_text(place: Place) -> str:
    """`place_text(("models", 0, "name"))` is "models[0].name"."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{_key_text(part)}" for part in place).lstrip(".")


def _key_text(key: str) -> str:
    """A key in a form that is safe to print on a terminal."""
    text = key if key.isprintable() else key.encode("unicode_escape").decode()
    return text if len(text) <= 60 else text[:57] + "..."


@dataclass(eq=False, slots=True)
class YamlNode:
    """A value with its place in the file.

    Attributes:
        line: the line of the key, or of the item of a list.
        value: a scalar, a dict of nodes or a list of nodes.
        used: True if an importer has read or reported the value.
        repeats: earlier values of keys that occur again in the same mapping; the last value of a key counts.
    """

    file: Path
    line: int
    place: Place
    value: Any
    used: bool = False
    repeats: tuple["YamlNode", ...] = ()

    @property
    def where(self) -> str:
        """The place as a text: `models[0].name`; "" for the whole file."""
        return place_text(self.place)

    @property
    def key(self) -> str:
        """The last part of the place."""
        return str(self.place[-1]) if self.place else ""

    def plain(self) -> Any:
        """The value without lines. All values in it are marked as used."""
        self.used = True
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def get(self, key: str) -> "YamlNode | None":
        """The value of a key of this mapping; None if it is missing or null, or if this is not a mapping."""
        node: YamlNode | None = self.value.get(key) if isinstance(self.value, dict) else None
        if node is not None and node.value is None:
            node.used = True
            return None
        return node

    def children(self) -> list["YamlNode"]:
        """The values of a mapping, or the items of a list."""
        if isinstance(self.value, dict):
            return list(self.value.values())
        return self.value if isinstance(self.value, list) else []

    def unused(self) -> Iterator["YamlNode"]:
        """The topmost nodes that are not used and contain no used one."""
        if self.used:
            return
        if any(child._partly_used() for child in self.children()):
            for child in self.children():
                yield from child.unused()
        elif self.value not in (None, {}, []):
            yield self

    def _partly_used(self) -> bool:
        return self.used or any(child._partly_used() for child in self.children())


def read_yaml(path: Path, *, lenient: bool = False, text: str | None = None) -> YamlNode:
    """The document in a file; an empty file is null.

    Args:
        lenient: for files of other programs: merges (`<<`) are applied, not refused, and keys and dates are texts.
        text: read in place of the file.

    Raises:
        YamlError: the file cannot be read, is not YAML, or exceeds a limit.
    """
    try:
        text = read_regular(path, MOST_BYTES).decode("utf-8-sig") if text is None else text
    except FileNotFoundError as exc:
        raise YamlError(f"{path}: no such file") from exc
    except UnicodeDecodeError as exc:
        raise YamlError(f"{path}: not readable as UTF-8 text: byte {exc.start} is no part of a character") from exc
    except OSError as exc:
        raise YamlError(f"{path}: not readable: {exc.strerror or exc}") from exc
    try:
        root = _Composer(path).compose(text)
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        line = 1 if mark is None else min(mark.line, text.count("\n")) + 1  # libyaml counts the end as a line
        raise YamlError(f"{path}:{line}: not valid YAML: {_reason(exc)}") from exc
    return YamlNode(path, 1, (), None) if root is None else _TreeBuilder(path, lenient).build(root, (), 1)


# The messages of PyYAML's two parsers -> messages for a person who writes a file. PyYAML's own may quote a secret.
_REASONS = {
    r"flow level|nesting|exceeded": "nested too deeply",
    r"mapping values are not allowed": "a `:` too many; quote a text that contains `: `",
    r"expected '?,'? or '?\]": "a list in [ ] is not closed, or lacks a comma",
    r"expected '?,'? or '?\}": "a mapping in { } is not closed, or lacks a comma",
    r"expected (the )?node content": "a list or a mapping is not closed, or a value is missing",
    r"expected '?:": "a key without `:`",
    r"expected key|block end|'-' indicator": "a line is not indented as the lines around it",
    r"unexpected end of stream|while scanning a quoted": "a quotation mark is not closed",
    r"tab|\\t": "a tab; indent with spaces",
    r"cannot start any token": "a character that must be quoted, or a tab; indent with spaces",
    r"anchor": "an `&` that names nothing; quote a text that begins with it",
    r"alias": "a `*` that names nothing; quote a text that begins with it",
    r"tag": "a `!` that names nothing; quote a text that begins with it",
    r"escape": "an unknown escape in a text in double quotes; use single quotes",
}


def _reason(error: yaml.YAMLError) -> str:
    message = f"{getattr(error, 'context', None) or ''} {getattr(error, 'problem', None) or ''}"
    known = (text for pattern, text in _REASONS.items() if re.search(pattern, message))
    return next(known, "a character that YAML does not allow" if message == " " else "a mistake in YAML's grammar")


def _line_of(node: yaml.Node) -> int:
    """The line that a node begins in, from 1."""
    return int(node.start_mark.line) + 1


class _TreeBuilder:
    """Turns PyYAML's nodes into `YamlNode`s. Recurses no deeper than `_Composer` allows."""

    def __init__(self, path: Path, lenient: bool) -> None:
        self._path = path
        self._lenient = lenient
        self._constructor = SafeConstructor()

    def build(self, node: yaml.Node, place: Place, line: int) -> YamlNode:
        if isinstance(node, yaml.MappingNode):
            values: dict[object, YamlNode] = {}
            repeats: list[YamlNode] = []
            for key, value, key_line in self._pairs(node):
                child = self.build(value, (*place, key if isinstance(key, str | int) else str(key)), key_line)
                if key in values:
                    repeats.append(values[key])
                values[key] = child
            return YamlNode(self._path, line, place, values, repeats=tuple(repeats))
        if isinstance(node, yaml.SequenceNode):
            items = [self.build(item, (*place, i), _line_of(item)) for i, item in enumerate(node.value)]
            return YamlNode(self._path, line, place, items)
        if self._lenient and node.tag == f"{_TAG}timestamp":  # api_version: 2024-02-01
            return YamlNode(self._path, line, place, node.value)
        return YamlNode(self._path, line, place, self._scalar(node))

    def _pairs(self, mapping: yaml.MappingNode) -> list[tuple[object, yaml.Node, int]]:
        """Keys, values and lines. Merged pairs come first; a key of the mapping itself replaces a merged one."""
        own: list[tuple[object, yaml.Node, int]] = []
        merged: dict[object, tuple[object, yaml.Node, int]] = {}
        for key, value in mapping.value:
            line = _line_of(key)
            if key.tag == f"{_TAG}merge":
                for source in self._merge_sources(value, line):
                    for pair in self._pairs(source):
                        merged.setdefault(pair[0], pair)
            elif not isinstance(key, yaml.ScalarNode):
                raise YamlError(f"{self._path}:{line}: not valid YAML: a key must be a plain word")
            else:
                own.append((key.value if self._lenient else self._scalar(key), value, line))
        if not merged:
            return own
        names = {name for name, _, _ in own}
        return [pair for name, pair in merged.items() if name not in names] + own

    def _merge_sources(self, value: yaml.Node, line: int) -> list[yaml.MappingNode]:
        """The mappings that `<<` names."""
        if not self._lenient:
            raise YamlError(f"{self._path}:{line}: not valid YAML: `<<` is not read: repeat the keys")
        sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
        mappings = [source for source in sources if isinstance(source, yaml.MappingNode)]
        if len(mappings) < len(sources):
            raise YamlError(f"{self._path}:{line}: `<<` expects a mapping or a list of mappings")
        return mappings

    def _scalar(self, node: yaml.Node) -> object:
        """The text, number, truth value, date or null of a scalar.

        Raises:
            YamlError: the text is not of the type that YAML's rules or its tag give it, or the tag is unknown.
        """
        kind = node.tag.rpartition(":")[2] if node.tag.startswith(_TAG) else None
        if node.tag in _BRIEF and len(node.value) > _NUMBER_CHARS:
            raise YamlError(f"{self._path}:{_line_of(node)}: not valid YAML: not a valid {kind}")
        try:
            return self._constructor.construct_object(node)
        except (ValueError, LookupError, AttributeError) as exc:  # 2024-13-45; !!int ""; !!bool x; !!timestamp x
            raise YamlError(f"{self._path}:{_line_of(node)}: not valid YAML: not a valid {kind}") from exc
        except yaml.YAMLError as exc:  # not shown: the tag is a text of the file, and may be a secret
            raise YamlError(f"{self._path}:{_line_of(node)}: not valid YAML: a tag that is not known") from exc


@dataclass(slots=True)
class _Anchored:
    """A node while it is composed, and afterwards for aliases of it.

    Attributes:
        size: number of values in it so far, with aliases expanded.
        height: number of levels below it so far.
        key: of a mapping, the key whose value comes next.
        closed: True if the node has ended, so that an alias may refer to it.
    """

    node: Any
    anchor: str | None
    size: int = 1
    height: int = 0
    key: yaml.Node | None = None
    closed: bool = False


class _Composer:
    """Composes PyYAML's parser events into its nodes, and enforces the limits."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._resolver: Any = Resolver()
        self._open: list[_Anchored] = []
        self._anchors: dict[str, _Anchored] = {}
        self._values = 0
        self._root: yaml.Node | None = None

    def compose(self, text: str) -> yaml.Node | None:
        documents = 0
        event: Any
        for event in yaml.parse(text, Loader=_Loader):
            line = event.start_mark.line + 1
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._error(line, "not valid YAML: a second document begins; expected one")
            elif isinstance(event, yaml.ScalarEvent):
                self._scalar(event, line)
            elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
                self._begin(event, line)
            elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
                ended = self._open.pop()
                ended.closed = True
                self._add(ended, line)
            elif isinstance(event, yaml.AliasEvent):
                target = self._anchors.get(event.anchor or "")
                if target is None:
                    raise self._error(line, "not valid YAML: found undefined alias")
                if not target.closed:
                    raise self._error(line, "not valid YAML: an alias inside itself")
                self._count(target.size, line)
                self._add(target, line)
        return self._root

    def _scalar(self, event: Any, line: int) -> None:
        if len(event.value) > MOST_CHARS:
            raise self._error(line, f"a value of more than {MOST_CHARS:,} characters")
        tag = event.tag
        if tag is None or tag == "!":
            tag = self._resolver.resolve(yaml.ScalarNode, event.value, event.implicit)
        node = yaml.ScalarNode(tag, event.value, event.start_mark, event.end_mark, style=event.style)
        self._count(1, line)
        self._add(self._anchored(_Anchored(node, event.anchor, closed=True)), line)

    def _begin(self, event: Any, line: int) -> None:
        kind: Any = yaml.MappingNode if isinstance(event, yaml.MappingStartEvent) else yaml.SequenceNode
        tag = event.tag
        if tag is None or tag == "!":
            tag = self._resolver.resolve(kind, None, event.implicit)
        node = kind(tag, [], event.start_mark, event.end_mark, flow_style=event.flow_style)
        self._count(1, line)
        self._open.append(self._anchored(_Anchored(node, event.anchor)))
        if len(self._open) > MOST_LEVELS:
            raise self._error(line, "not valid YAML: nested too deeply")

    def _anchored(self, item: _Anchored) -> _Anchored:
        if item.anchor is not None:
            self._anchors[item.anchor] = item
        return item

    def _count(self, number: int, line: int) -> None:
        self._values += number
        if self._values > MOST_VALUES:
            raise self._error(line, f"more than {MOST_VALUES:,} values, with aliases expanded")

    def _add(self, item: _Anchored, line: int) -> None:
        """Adds a complete node to the mapping or list that is open."""
        if not self._open:
            self._root = item.node
            return
        holder = self._open[-1]
        holder.size += item.size
        holder.height = max(holder.height, item.height + 1)
        if len(self._open) + item.height > MOST_LEVELS:
            raise self._error(line, "not valid YAML: nested too deeply")
        if isinstance(holder.node, yaml.SequenceNode):
            holder.node.value.append(item.node)
        elif holder.key is None:
            holder.key = item.node
        else:
            holder.node.value.append((holder.key, item.node))
            holder.key = None

    def _error(self, line: int, message: str) -> YamlError:
        return YamlError(f"{self._path}:{line}: {message}")
