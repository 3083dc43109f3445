"""Probes, and banks of them: JSON-lines or CSV files that are read and written here.

A bank file has one probe per line:

    {"id": "m-1", "query": "What is 6 times 7?", "kind": "mathematics", "checker": {"type": "number"}, "reference": 42}
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from router.data.importing.lines import csv_rows, json_lines
from router.errors import DataError
from router.probes.checker_spec import CheckerSpec, checker_spec
from router.probes.folder import SHIPPED, bank_path
from router.probes.json_types import JsonObject, JsonValue, as_json
from router.probes.validity import check_reference

__all__ = ["SHIPPED", "Bank", "Probe", "load_bank", "save_bank"]

DEFAULT_MAX_TOKENS = 512
MOST_QUERY_CHARACTERS = 100_000
FIELDS = ("id", "query", "kind", "checker", "reference", "difficulty", "known_models", "max_tokens", "tools")


@dataclass(frozen=True, slots=True)
class Probe:
    """One question and how its answer is checked.

    Attributes:
        id: unique in its bank, and stable.
        query: the user message that is sent, complete.
        kind: such as "mathematics" or "language:de"; probes are spread evenly over kinds.
        reference: what the checker compares the answer with; None where it needs none.
        difficulty: what known models scored above their own predicted P(correct), mean; None if none was asked.
        known_models: how many models the difficulty comes from.
        max_tokens: room for the visible answer; a caller adds what a reasoning model thinks.
        tools: OpenAI tools that are sent with the query.
    """

    id: str
    query: str
    kind: str
    checker: CheckerSpec
    reference: JsonValue = None
    difficulty: float | None = None
    known_models: int = 0
    max_tokens: int = DEFAULT_MAX_TOKENS
    tools: list[JsonObject] = field(default_factory=list)

    @property
    def main_kind(self) -> str:
        """The kind without its part: all languages together are one."""
        return self.kind.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Bank:
    """Probes with unique ids, in the order of the file."""

    name: str
    probes: tuple[Probe, ...]


def load_bank(path_or_name: str | Path) -> Bank:
    """Reads a bank by its path or name; see `router.probes.folder`. A file that ends in `.csv` is CSV, every other JSON lines.

    Raises:
        DataError: unreadable, no probe, or a probe that is not valid; the message names file, line and field.
    """
    path = bank_path(path_or_name)
    places: dict[str, str] = {}
    probes: list[Probe] = []
    for location, probe in read_probes(path):
        if isinstance(probe, DataError):
            raise probe
        if probe.id in places:
            raise DataError(f"{location}: id: {probe.id!r} is also the id at {places[probe.id]}")
        places[probe.id] = location
        probes.append(probe)
    if not probes:
        raise DataError(f"{path}: no probes")
    return Bank(path.stem, tuple(probes))


def read_probes(path: Path) -> Iterator[tuple[str, Probe | DataError]]:
    """(location, probe) of each line; in place of one that is not valid, the error. Ids may repeat.

    Raises:
        DataError: the file is unreadable, or a line is no JSON object or no row of the CSV file.
    """
    for location, record in _records(path):
        try:
            yield location, probe_from(record)
        except ValueError as exc:
            yield location, DataError(f"{location}: {exc}")


def save_bank(path: Path, probes: Sequence[Probe]) -> None:
    """Writes probes as JSON lines.

    Raises:
        OSError: the file cannot be written.
    """
    path.write_text("".join(f"{line}\n" for line in map(probe_line, probes)), encoding="utf-8")


def probe_line(probe: Probe) -> str:
    """One line of a bank file, without its line break."""
    line: JsonObject = {
        "id": probe.id,
        "query": probe.query,
        "kind": probe.kind,
        "checker": probe.checker.as_json(),
        "max_tokens": probe.max_tokens,
    }
    if probe.reference is not None:
        line["reference"] = probe.reference
    if probe.difficulty is not None:
        line |= {"difficulty": probe.difficulty, "known_models": probe.known_models}
    if probe.tools:
        line["tools"] = [*probe.tools]
    return json.dumps(line, ensure_ascii=False)


def probe_from(record: Mapping[str, JsonValue]) -> Probe:
    """A probe from the fields of one line.

    Raises:
        ValueError: a field is missing, unknown or not valid; the message names it.
    """
    unknown = [key for key in record if key not in FIELDS]
    if unknown:
        raise ValueError(f"{unknown[0]}: unknown field; a probe has {', '.join(FIELDS)}")
    for name in ("query", "checker"):
        if record.get(name) is None:
            raise ValueError(f"{name}: missing")
    query = _text(record, "query", "", most=MOST_QUERY_CHARACTERS)
    try:
        checker = checker_spec(record["checker"])
    except ValueError as exc:
        raise ValueError(f"checker: {exc}") from exc
    probe = Probe(
        id=_text(record, "id", default_id(query)),
        query=query,
        kind=_text(record, "kind", "own"),
        checker=checker,
        reference=record.get("reference"),
        difficulty=_difficulty(record.get("difficulty")),
        known_models=_count(record, "known_models", 0, least=0),
        max_tokens=_count(record, "max_tokens", DEFAULT_MAX_TOKENS, least=1),
        tools=_tools(record.get("tools")),
    )
    check_reference(probe.checker, probe.reference, probe.tools)
    return probe


def default_id(query: str) -> str:
    """The id of a probe that the file gives none: it depends on the query alone."""
    return f"q-{hashlib.sha256(query.encode()).hexdigest()[:12]}"


def _records(path: Path) -> Iterator[tuple[str, JsonObject]]:
    if path.suffix.lower() == ".csv":
        for location, row in csv_rows(path, ("query", "checker")):
            yield location, {key: _cell(key, text) for key, text in row.items() if text.strip()}
        return
    for location, line in json_lines(path):
        try:
            yield location, {key: as_json(item) for key, item in line.items()}
        except ValueError as exc:
            raise DataError(f"{location}: {exc}") from exc


def _cell(name: str, text: str) -> JsonValue:
    """A field of a CSV file: text, or JSON where the field is no text or the cell starts as JSON does."""
    plain = name in ("id", "query", "kind")
    if plain or (name in ("checker", "reference") and not text.lstrip().startswith(("{", "["))):
        return text
    try:
        return as_json(json.loads(text))
    except (ValueError, RecursionError):
        return text  # of a wrong type, which the check of the field names


def _text(record: Mapping[str, JsonValue], name: str, default: str, most: int = 256) -> str:
    value = record.get(name)
    if value is None:
        return default
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name}: expected text, found {value!r}")
    if len(value) > most:
        raise ValueError(f"{name}: {len(value):,} characters, more than {most:,}")
    return value


def _count(record: Mapping[str, JsonValue], name: str, default: int, least: int) -> int:
    value = record.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name}: expected a whole number of at least {least}, found {value!r}")
    return value


def _difficulty(value: JsonValue) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1 <= value <= 1:
        raise ValueError(f"difficulty: expected a number from -1 to 1, found {value!r}")
    return float(value)


def _tools(value: JsonValue) -> list[JsonObject]:
    if value is None:
        return []
    tools = [item for item in value if isinstance(item, dict)] if isinstance(value, list) else None
    if tools is None or not isinstance(value, list) or len(tools) != len(value):
        raise ValueError(f"tools: expected a list of objects, found {value!r}")
    for tool in tools:
        function = tool.get("function")
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise ValueError('tools: expected {"type": "function", "function": {"name": ...}}' + f", found {tool!r}")
    return tools
