"""Candidates of a portfolio and their prices."""

from pathlib import Path

import pytest

from gateway.core import vocabulary
from router.errors import DataError
from router.explore import model_prices
from router.explore.model_prices import TokenPrice, read_names, read_prices


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_names_from_lines_and_from_a_portfolio(tmp_path: Path) -> None:
    lines = write(tmp_path, "names.txt", "# ours\na/one\n\n b/two \na/one\n")
    assert read_names(lines) == ["a/one", "b/two"]
    portfolio = write(
        tmp_path,
        "portfolio.yaml",
        "models:\n  - {name: x, embedding: a/one}\n  - {name: y}\n  - {name: z, embedding: b/two}",
    )
    assert read_names(portfolio) == ["a/one", "b/two"]
    assert len(read_names(Path(__file__).parents[3] / "config" / "portfolio.yaml")) > 3


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("n.txt", "# no model\n", "names no model"),
        ("p.yaml", "models: [{name: x}]", "names no model"),
        ("p.yaml", "models: 3", "no list `models`"),
        ("p.yaml", "- a", "no list `models`"),
        ("p.yaml", "models: [", "not YAML"),
    ],
)
def test_files_without_a_model_are_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_names(write(tmp_path, name, text))
    assert name in str(caught.value)


def test_prices_by_model_whatever_else_the_table_holds(tmp_path: Path) -> None:
    text = "basis,model,usd_per_mtok_out,usd_per_mtok_in\nlist,a/one,8,2\nsize,b/two,0,0\n"
    prices = read_prices(write(tmp_path, "prices.csv", text))
    assert prices == {"a/one": TokenPrice(2.0, 8.0), "b/two": TokenPrice(0.0, 0.0)}
    assert prices["a/one"].usd(500, 250) == pytest.approx(0.003)


HEAD = "model,usd_per_mtok_in,usd_per_mtok_out\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model,usd_per_mtok_in\na,1\n", r"column usd_per_mtok_out is missing; it has model, usd_per_mtok_in"),
        ("", "column model, usd_per_mtok_in, usd_per_mtok_out is missing"),
        (HEAD + "a,1,2\na,1,2\n", "line 3: model a occurs twice"),
        (HEAD + "a,1,\n", "line 2: usd_per_mtok_out is ''"),
        (HEAD + "a,1\n", "line 2: usd_per_mtok_out is None"),
        (HEAD + "a,-1,2\n", "line 2: usd_per_mtok_in is '-1'"),
        (HEAD + "a,nan,2\n", "line 2: usd_per_mtok_in is 'nan'"),
        (HEAD + "a,free,2\n", "line 2: usd_per_mtok_in is 'free'"),
    ],
)
def test_what_is_no_price_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_prices(write(tmp_path, "prices.csv", text))


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "none", tmp_path / "binary"):
        with pytest.raises(DataError, match=f"{path.name}: unreadable"):
            read_names(path)
        with pytest.raises(DataError, match=f"{path.name}: unreadable"):
            read_prices(path)


def test_a_price_is_estimated_as_in_the_gateway() -> None:
    """The router does not import the gateway, so both have these two numbers."""
    assert model_prices.CHARS_PER_TOKEN == vocabulary.CHARS_PER_TOKEN
    assert model_prices.EXPECTED_OUTPUT_TOKENS == vocabulary.EXPECTED_OUTPUT_TOKENS
