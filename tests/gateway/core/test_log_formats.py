"""Each log entry is one line of text, or one JSON object with stable names."""

import json
import logging
import re
import sys
from typing import Any

import pytest

from gateway.core.log_formats import JsonFormatter, TextFormatter, formatter

MOMENT = 1_796_083_230.1234  # 2026-12-01 00:00:30.123 UTC
SECRET = "sk-secret"


def entry(message: str, *args: object, **more: Any) -> logging.LogRecord:
    record = logging.LogRecord("locus.test", logging.WARNING, "here.py", 1, message, args, more.pop("exc_info", None))
    record.created, record.msecs = MOMENT, 123.4
    record.__dict__ |= more
    return record


def raised() -> Any:
    try:
        raise ValueError(SECRET)
    except ValueError:
        return sys.exc_info()


def test_text_is_one_line_with_the_process_if_there_are_several() -> None:
    plain = TextFormatter().format(entry("a %s\nb", "\x1b[31m"))
    assert re.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d:30 WARNING locus\.test: a \\x1b\[31m\\nb", plain)
    assert " [2] WARNING" in formatter("text", 2).format(entry("a"))


def test_json_has_the_time_in_utc_and_the_fields_of_the_entry() -> None:
    line = JsonFormatter(2).format(entry("%s is out\n\u202e", "m/0", fields={"deployment": "m/0", "seconds": 5.0}))
    assert line.isprintable()
    assert json.loads(line) == {
        "time": "2026-12-01T00:00:30.123Z",
        "level": "WARNING",
        "logger": "locus.test",
        "process": 2,
        "message": "m/0 is out\\n\\u202e",
        "deployment": "m/0",
        "seconds": 5.0,
    }


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_traceback_comes_without_the_text_of_the_exception(form: Any) -> None:
    for more in ({"exc_info": raised()}, {"places": "in here.py\nValueError"}):
        line = formatter(form).format(entry("failed", **more))
        assert "ValueError" in line
        assert SECRET not in line
        if form == "json":
            assert json.loads(line)["traceback"].endswith("ValueError")
