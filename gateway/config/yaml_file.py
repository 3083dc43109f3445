"""A YAML file -> PyYAML's nodes with their lines, within limits: its bytes, its depth and what its aliases expand to.

Nothing here recurses, and the limits hold while the file is parsed: a hostile file costs no more than a large one.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from router.regular_file import NotRegular, read_regular

MOST_BYTES = 4 << 20
MOST_NODES = 400_000  # with every alias replaced by what it stands for
DEEPEST = 60
LONGEST = 65_536  # characters of one value
LONGEST_NUMBER = 100  # characters of a value that is not a text: Python's numbers take quadratic time
_BRIEF = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "bool", "null", "timestamp"))
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is ten times as quick


class YamlError(Exception):
    """A file that is no YAML, or too much of it; the message names file and line."""


def read_yaml(path: Path) -> yaml.Node | None:
    """The document in a file; None for an empty one. Depth and size of the result are bounded, aliases included.

    Raises:
        YamlError: the file cannot be read, is not YAML, or is beyond a limit.
    """
    try:
        text = read_regular(path, MOST_BYTES).decode("utf-8-sig")
    except FileNotFoundError as exc:
        raise YamlError(f"{path}: no such file") from exc
    except UnicodeDecodeError as exc:
        raise YamlError(f"{path}: not readable as UTF-8 text: byte {exc.start} is no part of a character") from exc
    except NotRegular as exc:
        raise YamlError(f"{path}: not readable: {exc.strerror}") from exc
    except OSError as exc:
        raise YamlError(f"{path}: not readable: {exc.strerror or exc}") from exc
    try:
        return _Composer(path).compose(text)
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        line = 1 if mark is None else min(mark.line, text.count("\n")) + 1  # libyaml counts the end as a line
        raise YamlError(f"{path}:{line}: not valid YAML: {_reason(exc)}") from exc


# What PyYAML's two parsers say, in the words of a person who writes a file. Their own words quote what may be a secret.
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
    told = f"{getattr(error, 'context', None) or ''} {getattr(error, 'problem', None) or ''}"
    plain = (text for pattern, text in _REASONS.items() if re.search(pattern, told))
    return next(plain, "a character that YAML does not allow" if told == " " else "a mistake in YAML's grammar")


class Scalars:
    """Nodes -> plain values."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._constructor = SafeConstructor()

    def value(self, node: yaml.Node) -> Any:
        """The text, number, truth value, date or null of a scalar.

        Raises:
            YamlError: it is none, or not of the kind that it is marked as.
        """
        if not isinstance(node, yaml.ScalarNode):
            raise YamlError(f"{self._path}:{line_of(node)}: not valid YAML: a key must be a plain word")
        kind = node.tag.rpartition(":")[2] if node.tag.startswith("tag:yaml.org,2002:") else None
        if node.tag in _BRIEF and len(node.value) > LONGEST_NUMBER:
            raise YamlError(f"{self._path}:{line_of(node)}: not valid YAML: not a valid {kind}")
        try:
            return self._constructor.construct_object(node)
        except (ValueError, KeyError, AttributeError) as exc:  # 2024-13-45; !!int x; !!bool x; !!timestamp x
            raise YamlError(f"{self._path}:{line_of(node)}: not valid YAML: not a valid {kind}") from exc
        except yaml.YAMLError as exc:  # anything else is a name in the file, which may be a secret
            raise YamlError(f"{self._path}:{line_of(node)}: not valid YAML: a tag that is not known") from exc


def line_of(node: yaml.Node) -> int:
    """The line that a node begins in, from 1."""
    return int(node.start_mark.line) + 1


@dataclass(slots=True)
class _Open:
    """A node, from where it begins.

    Attributes:
        size: values in it so far, with what aliases stand for.
        height: levels below it so far.
        key: of a mapping, the key whose value comes next.
        closed: it has ended, so that an alias may stand for it.
    """

    node: Any
    anchor: str | None
    size: int = 1
    height: int = 0
    key: yaml.Node | None = None
    closed: bool = False


class _Composer:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._resolver: Any = Resolver()
        self._open: list[_Open] = []
        self._anchors: dict[str, _Open] = {}
        self._nodes = 0
        self._root: yaml.Node | None = None

    def compose(self, text: str) -> yaml.Node | None:
        documents = 0
        event: Any
        for event in yaml.parse(text, Loader=_Loader):
            line = event.start_mark.line + 1
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._refused(line, "not valid YAML: a second document begins; expected one")
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
                    raise self._refused(line, "not valid YAML: found undefined alias")
                if not target.closed:
                    raise self._refused(line, "not valid YAML: an alias inside itself")
                self._count(target.size, line)
                self._add(target, line)
        return self._root

    def _scalar(self, event: Any, line: int) -> None:
        if len(event.value) > LONGEST:
            raise self._refused(line, f"a value of more than {LONGEST:,} characters")
        tag = event.tag
        if tag is None or tag == "!":
            tag = self._resolver.resolve(yaml.ScalarNode, event.value, event.implicit)
        node = yaml.ScalarNode(tag, event.value, event.start_mark, event.end_mark, style=event.style)
        self._count(1, line)
        self._add(self._named(_Open(node, event.anchor, closed=True)), line)

    def _begin(self, event: Any, line: int) -> None:
        kind: Any = yaml.MappingNode if isinstance(event, yaml.MappingStartEvent) else yaml.SequenceNode
        tag = event.tag
        if tag is None or tag == "!":
            tag = self._resolver.resolve(kind, None, event.implicit)
        node = kind(tag, [], event.start_mark, event.end_mark, flow_style=event.flow_style)
        self._count(1, line)
        self._open.append(self._named(_Open(node, event.anchor)))
        if len(self._open) > DEEPEST:
            raise self._refused(line, "not valid YAML: nested too deeply")

    def _named(self, item: _Open) -> _Open:
        if item.anchor is not None:
            self._anchors[item.anchor] = item
        return item

    def _count(self, number: int, line: int) -> None:
        self._nodes += number
        if self._nodes > MOST_NODES:
            raise self._refused(line, f"more than {MOST_NODES:,} values, with what aliases stand for")

    def _add(self, item: _Open, line: int) -> None:
        """Puts a whole node where it belongs."""
        if not self._open:
            self._root = item.node
            return
        holder = self._open[-1]
        holder.size += item.size
        holder.height = max(holder.height, item.height + 1)
        if len(self._open) + item.height > DEEPEST:
            raise self._refused(line, "not valid YAML: nested too deeply")
        if isinstance(holder.node, yaml.SequenceNode):
            holder.node.value.append(item.node)
        elif holder.key is None:
            holder.key = item.node
        else:
            holder.node.value.append((holder.key, item.node))
            holder.key = None

    def _refused(self, line: int, what: str) -> YamlError:
        return YamlError(f"{self._path}:{line}: {what}")
