"""A text that must never appear in a log, an error message or a traceback."""

import hmac


class Secret:
    """A secret text. `str`, `repr` and formatting give `***`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret text, for the code that sends or compares it."""
        return self._value

    def to_bytes(self) -> bytes:
        """The secret text as clients send it. Bytes of an environment that is not UTF-8 stay as they are."""
        return self._value.encode(errors="surrogateescape")

    def __str__(self) -> str:
        return "***"

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self.to_bytes(), other.to_bytes())

    def __hash__(self) -> int:
        return hash(self._value)
