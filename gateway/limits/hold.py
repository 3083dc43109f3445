"""What one request holds of the limits, from its arrival to its end: a place, and a reservation for each call to a model."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gateway.core.vocabulary import Clock
from gateway.limits.engine import Amounts, Refused
from gateway.limits.rates import MINUTE_S
from gateway.limits.refusals import refusal
from gateway.limits.slice import Slice


class Source(Protocol):
    """Where holds take their parts from: the limiter."""

    settled_twice: int
    clock: Clock

    @property
    def now(self) -> float: ...

    async def ask(self, slice: Slice, need: Amounts, take: Callable[[], bool]) -> Refused | None: ...

    def ask_soon(self, slice: Slice) -> None: ...


@dataclass(eq=False, slots=True)
class Reservation:
    """What is reserved for one call.

    Attributes:
        expected, worst: nano-USD.
        at: monotonic seconds.
    """

    expected: int
    worst: int
    tokens: int
    at: float


class Hold:
    """What one request holds.

    Args:
        tokens: that the request has taken from the slice already.

    Attributes:
        slice: of the windows in which the request arrived, even if they end meanwhile.
    """

    __slots__ = ("_parent", "_reservations", "_settled", "_source", "slice")

    def __init__(self, source: Source, slice: Slice, parent: "Hold | None" = None, tokens: int = 0) -> None:
        self._source = source
        self.slice = slice
        self._parent = parent
        self._reservations = [Reservation(0, 0, tokens, source.clock())] if tokens else []
        self._settled = False

    @property
    def lease(self) -> str:
        """The id under which the store has what is held, for the ledger."""
        return self.slice.lease

    @property
    def limits_money(self) -> bool:
        """True if a budget applies."""
        return self.slice.has_budget

    @property
    def limits_tokens(self) -> bool:
        """True if a limit of tokens per minute applies."""
        return self.slice.limits_tokens

    @property
    def tokens(self) -> int:
        """Tokens that are reserved."""
        return sum(reservation.tokens for reservation in self._reservations)

    def part(self) -> "Hold":
        """The hold of one prompt of a batch, which is settled on its own and has the place of the whole request."""
        return Hold(self._source, self.slice, self)

    async def reserve(self, expected: int, worst: int, tokens: int) -> Reservation:
        """Reserves money and tokens for one more call.

        Args:
            expected, worst: nano-USD.

        Raises:
            GatewayError: a limit is reached; what is held already stays.
        """
        slice = self.slice
        if not slice.reserve(expected, worst, tokens):
            need = Amounts(expected, worst, 0, 0, tokens)
            refused = await self._source.ask(slice, need, lambda: slice.reserve(expected, worst, tokens))
            if refused is not None:
                raise refusal(slice.grant, refused, self._source.now)
        elif slice.low:
            self._source.ask_soon(slice)
        reservation = Reservation(expected, worst, tokens, self._source.clock())
        self._reservations.append(reservation)
        return reservation

    def release(self, reservation: Reservation) -> None:
        """Gives back the reservation of a call that failed and cost nothing."""
        if self._settled or reservation not in self._reservations:
            return
        self._reservations.remove(reservation)
        self._give_back(reservation, 0, 0)

    def settle(self, nusd: int, tokens: int) -> None:
        """Counts what was billed, and gives back the rest. Happens once; further calls are counted, and do nothing.

        Args:
            nusd: the cost of all calls, nano-USD.
            tokens: of prompts and answers, as billed.
        """
        if self._settled:
            self._source.settled_twice += 1
            return
        self._settled = True
        slice = self.slice
        if self._reservations:
            for reservation in self._reservations[1:]:
                self._give_back(reservation, 0, 0)
            self._give_back(self._reservations[0], nusd, tokens)
        else:
            slice.settle(0, 0, nusd)
            slice.owe_tokens(tokens)
        if self._parent is None:
            slice.finish()
        if slice.excess:
            self._source.ask_soon(slice)

    def _give_back(self, reservation: Reservation, nusd: int, tokens: int) -> None:
        unused = reservation.tokens - tokens
        if unused > 0 and self._source.clock() - reservation.at >= MINUTE_S:
            unused = 0  # its minute is over
        self.slice.settle(reservation.expected, reservation.worst, nusd)
        self.slice.owe_tokens(-unused)
