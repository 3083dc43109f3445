"""Exceptions are logged without their messages, which may contain keys and prompts."""

import asyncio
import logging
import sys
import threading
from types import SimpleNamespace

import pytest

from gateway.core.safe_logging import (
    SafeFormatter,
    install_exception_hooks,
    log_exception,
    log_loop_exception,
    safe_traceback,
)

SECRET = "sk-secret"


def raised() -> ValueError:
    try:
        try:
            raise KeyError(SECRET)
        except KeyError as cause:
            raise ValueError(SECRET) from cause
    except ValueError as exc:
        return exc


def test_types_and_places_of_all_causes_first_cause_first() -> None:
    text = safe_traceback(raised())
    assert [line for line in text.splitlines() if not line.startswith(" ")] == ["KeyError", "ValueError"]
    assert "test_safe_logging.py" in text
    assert SECRET not in text


def test_the_exceptions_of_a_group_are_described() -> None:
    text = safe_traceback(ExceptionGroup(SECRET, [raised(), OSError(SECRET)]))
    assert text.splitlines()[0] == "ExceptionGroup"
    assert text.endswith("OSError")
    assert SECRET not in text


def test_a_cycle_of_causes_ends() -> None:
    first, second = ValueError(), KeyError()
    first.__cause__, second.__cause__ = second, first
    assert safe_traceback(first) == "KeyError\nValueError"


def test_a_suppressed_context_is_left_out() -> None:
    exc = ValueError()
    exc.__context__, exc.__suppress_context__ = KeyError(), True
    assert safe_traceback(exc) == "ValueError"


def test_the_formatter_hides_messages_that_others_have_cached(caplog: pytest.LogCaptureFixture) -> None:
    exc = raised()
    record = logging.LogRecord(
        "x", logging.ERROR, __file__, 1, "failed\nagain", (), (ValueError, exc, exc.__traceback__)
    )
    record.exc_text = f"ValueError: {SECRET}"
    text = SafeFormatter("%(message)s").format(record)
    assert text.startswith("failed\\nagain\n")
    assert text.endswith("ValueError")
    assert SECRET not in text


def test_errors_of_the_event_loop_are_logged_without_arguments(caplog: pytest.LogCaptureFixture) -> None:
    loop = asyncio.new_event_loop()
    try:
        log_loop_exception(loop, {"message": f"Exception in callback f('{SECRET}')", "exception": raised()})
        log_loop_exception(loop, {"message": "Task was destroyed but it is pending!"})
    finally:
        loop.close()
    assert [record.getMessage() for record in caplog.records] == [
        "in the event loop: Exception in",
        "in the event loop: Task was destroyed but it is pending!",
    ]
    assert SECRET not in caplog.text


def test_uncaught_exceptions_are_logged_without_messages(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for module, hook in ((sys, "excepthook"), (threading, "excepthook"), (sys, "unraisablehook")):
        monkeypatch.setattr(module, hook, getattr(module, hook))  # restored after the test
    install_exception_hooks()
    exc = raised()
    sys.excepthook(ValueError, exc, None)
    threading.excepthook(threading.ExceptHookArgs((ValueError, exc, None, threading.current_thread())))
    sys.unraisablehook(
        SimpleNamespace(exc_type=ValueError, exc_value=exc, exc_traceback=None, err_msg=None, object=None)
    )
    assert [record.getMessage() for record in caplog.records] == ["crashed", "a thread ended: MainThread", "ignored"]
    assert SECRET not in caplog.text


def test_a_defect_keeps_its_description(caplog: pytest.LogCaptureFixture) -> None:
    log_exception(logging.getLogger("locus.test"), "request failed", OSError(SECRET))
    (record,) = caplog.records
    assert (record.getMessage(), record.__dict__["places"]) == ("request failed", "OSError")
