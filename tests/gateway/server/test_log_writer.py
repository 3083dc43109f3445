"""Log lines are written by a thread, so that what reads them cannot stop the gateway."""

import fcntl
import io
import logging
import os
import struct
import termios
import time
from collections.abc import Iterator

import pytest

from gateway.server import log_writer
from gateway.server.log_writer import LogWriter, written_in_thread


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("test.log-writer")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    yield logger
    logger.handlers = []


def test_lines_are_written_at_once_outside_and_in_order_by_the_thread_inside(logger: logging.Logger) -> None:
    stream = io.StringIO()
    logger.addHandler(writer := LogWriter(stream))
    logger.info("before")
    assert stream.getvalue() == "before\n"
    with writer.in_thread():
        for i in range(1000):
            logger.info("line %d", i)
    logger.info("after")
    assert stream.getvalue().splitlines() == ["before", *(f"line {i}" for i in range(1000)), "after"]


def bytes_in(pipe: int) -> int:
    (waiting,) = struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))
    return int(waiting)


def test_a_pipe_that_is_not_read_stops_no_log_call_and_the_oldest_lines_are_lost_and_counted(
    logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_writer, "MAX_LINES", 100)
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream, os.fdopen(reading) as reader:
        logger.addHandler(writer := LogWriter(stream))
        with writer.in_thread():
            logger.info("first")
            logger.info("x" * 200_000)  # more than the pipe holds
            while bytes_in(reading) <= len("first\n"):  # until the thread is stuck: the rest of this line has no room
                time.sleep(0.01)
            for i in range(300):
                logger.info("line %d", i)
            got = [reader.readline().rstrip() for _ in range(2)]
            for _ in range(101):
                got.append(reader.readline().rstrip())
    assert got[0] == "first"
    assert got[-2:] == ["line 299", "200 older log lines were lost: standard error is read too slowly"]


def test_on_a_terminal_lines_are_wrapped_between_words(logger: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    stream = Terminal()
    logger.addHandler(LogWriter(stream))
    logger.info("m/0 is taken out for 300 s: auth 401: Incorrect API key provided; m/1 answers meanwhile")
    logger.info('a traceback:\n  File "%s"', "x" * 80)
    lines = stream.getvalue().splitlines()
    assert lines[:2] == [
        "m/0 is taken out for 300 s: auth 401: Incorrect API key",
        "    provided; m/1 answers meanwhile",
    ]
    assert lines[3] == f'  File "{"x" * 80}"'


def test_a_stream_whose_reader_is_gone_is_no_error(logger: logging.Logger) -> None:
    stream = io.StringIO()
    logger.addHandler(LogWriter(stream))
    stream.close()
    logger.info("lost")


def test_only_its_own_handlers_write_in_threads() -> None:
    root = logging.getLogger()
    stream = io.StringIO()
    writer = LogWriter(stream)
    root.addHandler(writer)
    try:
        with written_in_thread():
            logging.getLogger("other.library").warning("in the same form")
    finally:
        root.removeHandler(writer)
    assert "in the same form" in stream.getvalue()
