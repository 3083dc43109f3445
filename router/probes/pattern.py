"""Regular expressions that take time linear in the text, for patterns that meet answers of a model.

The engine is that of the Rust crate regex, inside pydantic-core: its syntax is that of Python's `re` without look-around and
backreferences. Python's own engine takes exponential time on some patterns, and a thread that runs it cannot be stopped.
"""

from functools import lru_cache

from pydantic_core import SchemaError, SchemaValidator, core_schema


class Pattern:
    """One compiled pattern."""

    def __init__(self, pattern: str) -> None:
        """Compiles it.

        Raises:
            ValueError: not a pattern, one with look-around or backreferences, or one that is too large.
        """
        try:
            self._validator = SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
        except SchemaError as exc:
            reason = str(exc).strip().splitlines()[-1].strip().removeprefix("error: ")
            raise ValueError(f"not a pattern of linear time: {pattern!r}: {reason}") from exc

    def found_in(self, text: str) -> bool:
        """Return True if a part of the text matches."""
        return self._validator.isinstance_python(text)


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> Pattern:
    """The compiled pattern, kept. Raises a ValueError as `Pattern` does."""
    return Pattern(pattern)


def whole(pattern: str) -> str:
    """The pattern that matches where the given one matches the whole text."""
    return rf"\A(?:{pattern})\z"
