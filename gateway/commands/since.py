"""The value of `--since`."""

import time
from datetime import datetime

import click

from gateway.core.durations import duration_s


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
        seconds = duration_s(str(value))
        if seconds is not None:
            return time.time() - seconds
        try:
            return datetime.fromisoformat(str(value)).timestamp()
        except ValueError:
            self.fail(f"{value!r}: write a duration such as 90m, 1h or 7d, or a date such as 2026-11-01", param, ctx)
