"""What a process knows of the others that share its limits, without asking the store."""

import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Processes:
    """The processes that share limits.

    Attributes:
        id: of this one; its leases are named after it.
        number: of all, as far as it is known.
        killed: the ids of those that were killed lately, and will never ask the store again.
    """

    id: str = field(default_factory=lambda: secrets.token_hex(8))
    number: Callable[[], int] = lambda: 1
    killed: Callable[[], Collection[str]] = lambda: ()
