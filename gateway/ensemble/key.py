"""What two answers have in common when they count as the same answer."""

from typing import Literal, NamedTuple

Kind = Literal["json", "tools", "choice", "number", "short", "free"]


class Key(NamedTuple):
    """The final answer of a text, in one form: answers with equal keys vote for the same thing."""

    kind: Kind
    value: str
