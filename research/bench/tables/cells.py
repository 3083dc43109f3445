"""Numbers as the cells of a table: None and NaN give empty cells."""

from collections.abc import Sequence

from research.bench.report import table

MINUS = "−"


def percent(value: float | None, digits: int = 1) -> str:
    """0.7213 -> `72.1`"""
    return number(None if value is None else 100 * value, digits)


def points(value: float | None, digits: int = 1) -> str:
    """A difference of shares in points, signed: 0.0123 -> `+1.2`"""
    text = percent(value, digits)
    return text if not text or text.startswith(MINUS) else f"+{text}"


def number(value: float | None, digits: int = 2) -> str:
    """-1.234 -> `−1.23`"""
    if value is None or value != value:
        return ""
    return f"{value:.{digits}f}".replace("-", MINUS)


def usd(value: float | None) -> str:
    """Dollars per thousand queries: 0.00123 -> `1.23`"""
    return "" if value is None or value != value else f"{1000 * value:.3g}"


def grid(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    return table(header, lines)


def picture(name: str, text: str) -> str:
    """A link to a plot."""
    return f"![{text}](tables/{name}.png)"
