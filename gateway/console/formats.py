"""Values -> texts of the console. Pure functions."""

from collections.abc import Callable
from datetime import UTC, datetime

from markupsafe import Markup, escape

from gateway.core.vocabulary import NUSD_PER_USD

UNKNOWN = "–"


def usd(nusd: int | float | None) -> str:
    """Money in nano-USD, with at least two digits that count: 0 -> "0 USD", 1.5e9 -> "1.50 USD", 42_000 -> "0.000042 USD"."""
    if nusd is None:
        return UNKNOWN
    value = nusd / NUSD_PER_USD
    if value == 0:
        return "0 USD"
    if abs(value) >= 0.1:
        return f"{value:,.2f} USD"
    return f"{value:.2g} USD" if abs(value) >= 1e-4 else f"{value:.9f}".rstrip("0") + " USD"


def number(value: int | float | None) -> str:
    """1234567 -> "1,234,567"."""
    return UNKNOWN if value is None else f"{value:,.0f}"


def percent(share: float | None, digits: int = 0) -> str:
    """0.256 -> "26%"."""
    return UNKNOWN if share is None else f"{100 * share:.{digits}f}%"


def duration(ms: float | None) -> str:
    """Milliseconds: 0.4 -> "0.4 ms", 250 -> "250 ms", 1500 -> "1.5 s", 90_000 -> "1 min 30 s"."""
    if ms is None:
        return UNKNOWN
    if ms < 10:
        return f"{ms:.1f} ms"
    if ms < 999.5:
        return f"{ms:.0f} ms"
    if ms < 59_950:
        return f"{ms / 1000:.1f} s"
    minutes, seconds = divmod(round(ms / 1000), 60)
    return f"{minutes} min {seconds} s"


def moment(seconds: float | None) -> str | Markup:
    """Seconds since the epoch -> a `time` element in UTC, which `console.js` shows in the time zone of the browser."""
    if seconds is None:
        return UNKNOWN
    at = datetime.fromtimestamp(seconds, UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        escape(at.isoformat(timespec="milliseconds")), escape(at.strftime("%Y-%m-%d %H:%M:%S UTC"))
    )


def iso_moment(text: str | None) -> str | Markup:
    """A time in ISO 8601 with its zone -> as `moment`; empty for None."""
    return "" if text is None else moment(datetime.fromisoformat(text).timestamp())


def iso(seconds: float) -> str:
    """Seconds since the epoch -> "2026-12-01T14:00Z", as the filters of pages take times."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="minutes").replace("+00:00", "Z")


FILTERS: dict[str, Callable[..., object]] = {
    "usd": usd,
    "number": number,
    "percent": percent,
    "duration": duration,
    "moment": moment,
    "iso": iso,
    "iso_moment": iso_moment,
}
