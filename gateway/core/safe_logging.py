"""Logs unexpected exceptions by type and traceback only: their messages may contain API keys and prompts."""

import asyncio
import logging
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from types import TracebackType
from typing import TextIO

from gateway.core.json_types import JsonObject
from gateway.core.printable import log_line

log = logging.getLogger("locus.defects")


def log_exception(logger: logging.Logger, what: str, exc: BaseException) -> None:
    """Log the message `what` with the types and tracebacks of an exception and its causes, without exception messages."""
    logger.error("%s", what, extra={"places": safe_traceback(exc)})


def safe_traceback(exc: BaseException) -> str:
    """Return types and tracebacks of an exception and its causes, the first cause first; never an exception message."""
    parts = []
    for link in reversed(list(_chain(exc))):
        parts.append("".join(traceback.format_tb(link.__traceback__)) + type(link).__name__)
        if isinstance(link, BaseExceptionGroup):
            parts += [safe_traceback(inner) for inner in link.exceptions]
    return "\n".join(parts)


def _chain(exc: BaseException) -> Iterator[BaseException]:
    """Yield an exception, its cause, the cause of that, and so on, as Python prints them; a cycle ends."""
    seen: set[int] = set()
    link: BaseException | None = exc
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


class SafeFormatter(logging.Formatter):
    """Formatter of the root handler: it removes exception messages from the `exc_info` of every library.

    Each record is one line without control characters; only tracebacks take more lines.
    """

    def format(self, record: logging.LogRecord) -> str:
        record.exc_text = None  # another handler may have cached the full text
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = log_line(record.message)
        line = super().formatMessage(record)
        places = getattr(record, "places", None)
        return line if places is None else f"{line}:\n{places}"

    def formatException(
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    ) -> str:
        return safe_traceback(ei[1]) if ei[1] is not None else ""


def log_loop_exception(loop: asyncio.AbstractEventLoop, context: JsonObject) -> None:
    """Exception handler of the event loop. asyncio's default handler prints callback arguments, which contain received data."""
    what = str(context.get("message", "")).partition(" callback ")[0]
    exc = context.get("exception")
    if exc is not None:
        log_exception(log, f"in the event loop: {what}", exc)
    else:
        log.error("in the event loop: %s", what)


def install_exception_hooks() -> None:
    """Install hooks so that uncaught exceptions (main thread, other threads, destructors) and Python's warnings are logged.

    Their messages are left out.
    """

    def crash(kind: type[BaseException], exc: BaseException, tb: TracebackType | None) -> None:
        if isinstance(exc, KeyboardInterrupt):
            sys.__excepthook__(kind, exc, tb)
        else:
            log_exception(log, "crashed", exc)

    def thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:
            log_exception(log, f"a thread ended: {args.thread.name if args.thread else '?'}", args.exc_value)

    def ignored(args: "sys.UnraisableHookArgs") -> None:
        if args.exc_value is not None:
            log_exception(log, "ignored", args.exc_value)

    def warning(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        log.debug("%s in %s, line %d", category.__name__, filename, lineno)  # its text may be that of an answer

    warnings.showwarning = warning
    sys.excepthook = crash
    threading.excepthook = thread
    sys.unraisablehook = ignored
