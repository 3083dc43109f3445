"""The most calls to providers that one request may make, over all models that are asked for it."""

from gateway.provider_errors.failures import Cause, UpstreamFailure


class CallCap:
    """Counts the calls of one request; a call beyond the cap is refused before it is made.

    Args:
        most: calls at most.
    """

    __slots__ = ("left",)

    def __init__(self, most: int) -> None:
        self.left = most

    def take(self) -> None:
        """Counts a call that is made now.

        Raises:
            UpstreamFailure: no call is left (`Cause.BUDGET`).
        """
        if self.left <= 0:
            raise UpstreamFailure(Cause.BUDGET, reason="the request has made all calls that its policy allows")
        self.left -= 1

    def give_back(self) -> None:
        """Takes back a call that was counted and not made."""
        self.left += 1
