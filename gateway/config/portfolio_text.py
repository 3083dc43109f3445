"""Writes a portfolio as YAML text with comments, laid out as a person would write it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

Comments = Mapping[tuple[str | int, ...], Sequence[str]]
# Keys whose values are written on several lines. Every other value is written on the line of its key.
_BLOCKS = frozenset({"models", "embedding_models", "deployments", "gateway"})


def portfolio_text(portfolio: Mapping[str, object], comments: Comments) -> str:
    """The text of a portfolio.

    Args:
        comments: place -> lines to write above the key or item there; `()` is the top of the file.
    """
    lines = [*_comment(comments, (), "")]
    for key, value in portfolio.items():
        lines += ["", *_entry(key, value, comments, (), "")]
    return "\n".join(lines) + "\n"


def _entry(key: str, value: Any, comments: Comments, where: tuple[str | int, ...], indent: str) -> Iterator[str]:
    here = (*where, key)
    yield from _comment(comments, here, indent)
    if key not in _BLOCKS:
        yield f"{indent}{_flow(key)}: {_flow(value)}"
        return
    yield f"{indent}{key}:"
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _entry(name, inner, comments, here, indent + "  ")
        return
    for i, item in enumerate(value):
        if i and "deployments" in item:
            yield ""
        yield from _comment(comments, (*here, i), indent + "  ")
        inside = [line for name, inner in item.items() for line in _entry(name, inner, comments, (*here, i), "")]
        # The dash is on the line of the first key, so a comment of that key is written above the dash.
        first = next(n for n, line in enumerate(inside) if not line.startswith("#"))
        yield from (f"{indent}  {line}" for line in inside[:first])
        yield f"{indent}  - {inside[first]}"
        yield from (f"{indent}    {line}" if line else "" for line in inside[first + 1 :])


def _comment(comments: Comments, where: tuple[str | int, ...], indent: str) -> Iterator[str]:
    for line in comments.get(where, ()):
        yield f"{indent}# {''.join(c if c.isprintable() else '?' for c in line)}".rstrip()


def _flow(value: object) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, sort_keys=False, width=1 << 30)
    return text.removesuffix("...\n").rstrip("\n")
