"""The candidates for a portfolio and their prices: names from a list or a portfolio file, prices from a CSV file."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from router.errors import DataError
from router.explore.text_file import read_text, read_yaml

COLUMNS = ("model", "usd_per_mtok_in", "usd_per_mtok_out")
# The estimate of a request's price, as in the gateway: only differences between models matter.
CHARS_PER_TOKEN = 4
EXPECTED_OUTPUT_TOKENS = 400


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """Prices in USD per million tokens."""

    usd_per_mtok_in: float
    usd_per_mtok_out: float

    def usd(self, tokens_in: float, tokens_out: float) -> float:
        """The price of a query, USD."""
        return (self.usd_per_mtok_in * tokens_in + self.usd_per_mtok_out * tokens_out) / 1e6


def read_names(path: Path) -> list[str]:
    """Names of models of a space, without repetitions: the lines of a text file, or the `embedding` of each model of a portfolio
    file (.yaml, .yml).

    Raises:
        DataError: the file is unreadable, is not a portfolio, or names no model.
    """
    if path.suffix in (".yaml", ".yml"):
        names = _portfolio_embeddings(path)
    else:
        names = [line.strip() for line in read_text(path).splitlines()]
    names = [name for name in dict.fromkeys(names) if name and not name.startswith("#")]
    if not names:
        raise DataError(f"{path}: names no model of the space")
    return names


def read_prices(path: Path) -> Mapping[str, TokenPrice]:
    """Model -> price, from a CSV with the columns model, usd_per_mtok_in, usd_per_mtok_out; others are ignored.

    Raises:
        DataError: the file is unreadable, a column is missing, a price is not a number of 0 or more, a model occurs twice.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
            if missing:
                raise DataError(
                    f"{path}: column {', '.join(missing)} is missing; it has {', '.join(rows.fieldnames or ())}"
                )
            prices: dict[str, TokenPrice] = {}
            for row in rows:
                where = f"{path}: line {rows.line_num}"
                if row["model"] in prices:
                    raise DataError(f"{where}: model {row['model']} occurs twice")
                prices[row["model"]] = TokenPrice(*(_price(where, name, row[name]) for name in COLUMNS[1:]))
            return prices
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise DataError(f"{path}: unreadable: {exc}") from exc


def _price(where: str, column: str, text: str | None) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = -1.0
    if not (isfinite(value) and value >= 0):
        raise DataError(f"{where}: {column} is {text!r}, expected a number of 0 or more")
    return value


def _portfolio_embeddings(path: Path) -> list[str]:
    """The `embedding` of each model of a portfolio file, or the name at its first deployment, which says what model it is."""
    found = read_yaml(path)
    entries = found.get("models") if isinstance(found, dict) else None
    if not isinstance(entries, list):
        raise DataError(f"{path}: not a portfolio: it has no list `models`")
    names = [_portfolio_name(entry) for entry in entries if isinstance(entry, dict)]
    return [name for name in names if isinstance(name, str) and name != "none"]


def _portfolio_name(entry: dict[str, object]) -> object:
    deployments = entry.get("deployments")
    first = deployments[0] if isinstance(deployments, list) and deployments else None
    return entry.get("embedding") or (first.get("model") if isinstance(first, dict) else None)
