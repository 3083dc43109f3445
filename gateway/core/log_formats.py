"""The two forms of the log: text for people, and JSON with one object per line for programs.

A log call may pass more fields for JSON: `extra={"fields": {...}}`, or a function that returns them, which text does not call.
"""

import logging
import time
from typing import Literal

import orjson

from gateway.core.printable import log_line, printable_json
from gateway.core.safe_logging import SafeFormatter

Format = Literal["text", "json"]


class TextFormatter(SafeFormatter):
    """Writes `2026-12-01 10:20:30 INFO locus.request: …`, in local time.

    Args:
        process: of several; 1 and more.
    """

    def __init__(self, process: int | None = None) -> None:
        of_process = "" if process is None else f" [{process}]"
        super().__init__(f"%(asctime)s{of_process} %(levelname)s %(name)s: %(message)s")
        self._latest = (-1, "")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        second, text = self._latest
        if int(record.created) != second:
            second = int(record.created)
            text = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
            self._latest = second, text
        return text


class JsonFormatter(SafeFormatter):
    """Writes `{"time": "2026-12-01T10:20:30.123Z", "level": "INFO", "logger": …, "message": …, …}`, in UTC.

    Args:
        process: of several; 1 and more. Each line then has the field `process`.
    """

    def __init__(self, process: int | None = None) -> None:
        super().__init__()
        self._process = {} if process is None else {"process": process}
        self._latest = (-1, "")

    def format(self, record: logging.LogRecord) -> str:
        given = getattr(record, "fields", None)
        fields = given() if callable(given) else given or {}
        line = {
            "time": self.formatTime(record),
            "level": record.levelname,
            "logger": record.name,
            **self._process,
            "message": None,
            **fields,
        }
        if line["message"] is None:
            line["message"] = log_line(record.getMessage())
        places = getattr(record, "places", None) or (self.formatException(record.exc_info) if record.exc_info else None)
        if places:
            line["traceback"] = places
        return printable_json(orjson.dumps(line, default=str).decode())

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        second, text = self._latest
        if int(record.created) != second:
            second = int(record.created)
            text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._latest = second, text
        return f"{text}.{int(record.msecs):03d}Z"


def formatter(form: Format, process: int | None = None) -> SafeFormatter:
    """The formatter of this form.

    Args:
        process: the number of this process among several; None if it is the only one.
    """
    return JsonFormatter(process) if form == "json" else TextFormatter(process)
