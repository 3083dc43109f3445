"""The value of `--since`."""

import time

import click

from gateway.core.durations import time_of


class Since(click.ParamType[float]):
    """A duration before now, such as 90m, 1h or 7d, or a local date such as 2026-11-01; gives seconds since the epoch."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read the value.

        Raises:
            click.BadParameter: it is neither.
        """
        if isinstance(value, float):
            return value
        at = time_of(str(value), time.time(), None)
        if at is None:
            self.fail(f"{value!r}: write a duration such as 90m, 1h or 7d, or a date such as 2026-11-01", param, ctx)
        return at
