"""Settings of a whole process that serves: its log, its garbage collector, its limit of open files."""

import contextlib
import ctypes
import gc
import logging
from dataclasses import dataclass
from typing import Literal

from gateway.core.log_formats import Format, formatter
from gateway.core.safe_logging import install_exception_hooks
from gateway.server.log_writer import LogWriter

ENOUGH_FILES = 1 << 20
# Each request leaves objects that stay for a while: its conversation and its record. With Python's own thresholds all of them
# would be scanned every few hundred requests, which would take a tenth of the time of each request.
GC_THRESHOLDS = (20_000, 20, 20)


@dataclass(frozen=True, slots=True)
class LogSettings:
    """The form of the log, and the lowest level in it. DEBUG is for the gateway's own modules; others log from INFO."""

    form: Format = "text"
    level: Literal["debug", "info", "warning", "error"] = "info"


def log_to_stderr(settings: LogSettings, process: int | None = None) -> None:
    """Logs all modules to standard error, without the texts of exceptions.

    Args:
        process: the number of this process among several; if given, the log replaces one that was set up before.
    """
    handler = LogWriter()
    handler.setFormatter(formatter(settings.form, process))
    level = getattr(logging, settings.level.upper())
    logging.basicConfig(level=max(level, logging.INFO), handlers=[handler], force=process is not None)
    logging.getLogger("locus").setLevel(level)
    install_exception_hooks()


def freeze_startup_objects() -> None:
    """Excludes all objects that exist now from garbage collection, and gives unused memory back to the system.

    Call it once when start-up is complete: scanning these objects again would stop all requests for tens of milliseconds.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    with contextlib.suppress(OSError, AttributeError):  # glibc would keep some 25 MB
        ctypes.CDLL(None).malloc_trim(0)


def raise_descriptor_limit() -> None:
    """Lets this process open as many files as the system allows, since each connection needs one."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(hard, ENOUGH_FILES)
        if soft != resource.RLIM_INFINITY and soft < most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
