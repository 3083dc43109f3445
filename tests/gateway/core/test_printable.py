"""No client and no provider can forge a log line or reach the terminal that shows it."""

import io
import logging

import pytest

from gateway.core.printable import MAX_CHARS, printable
from gateway.core.safe_logging import SafeFormatter, log_exception


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("naïve 模型 🙂", "naïve 模型 🙂"),
        ("a\r\nb\tc", "a\\r\\nb\\tc"),
        ("\x1b]0;title\x07\x1b[2J", "\\x1b]0;title\\x07\\x1b[2J"),
        ("\x9b31m\x85\x7f", "\\x9b31m\\x85\\x7f"),
        ("a\u2028b\u2029c", "a\\u2028b\\u2029c"),
        ("\u202eevil\u2066x\u200f", "\\u202eevil\\u2066x\\u200f"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_every_log_line_is_one_line() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(SafeFormatter("%(levelname)s %(name)s: %(message)s"))
    logger = logging.Logger("test")
    logger.addHandler(handler)
    logger.warning("model %s", "x\n2026-01-01 INFO locus: all is well\x1b[2J")
    logger.warning("%s", "y" * (10 * MAX_CHARS))
    text = "a key\nINFO forged"
    try:
        raise ValueError(text)
    except ValueError as exc:
        log_exception(logger, "request a\nb failed", exc)
        logger.exception("again")
    first, second, third, *places = stream.getvalue().splitlines()
    assert first == "WARNING test: model x\\n2026-01-01 INFO locus: all is well\\x1b[2J"
    assert len(second) < MAX_CHARS + 100
    assert third == "ERROR test: request a\\nb failed:"
    assert places[0].startswith("  File ")
    assert "ValueError" in places
    assert "a key" not in stream.getvalue()
