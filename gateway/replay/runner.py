"""Runs the replays that are asked for over HTTP, each in a process of its own."""

import asyncio
import contextlib
import io
import logging
import pickle
import sys
from asyncio.subprocess import PIPE, Process
from typing import Any

import orjson

from gateway.core.errors import GatewayError, InternalError, InvalidRequest, Stopped, StoreUnavailable
from gateway.core.json_types import JsonObject
from gateway.core.safe_logging import log_exception
from gateway.onboarding.until_stored import until_stored
from gateway.replay.jobs import ReplayJob, ReplayJobs, State
from gateway.replay.order import FAILED, LONGEST_LINE, READY, RESULT, WRONG, Order
from gateway.replicas.owner import BEAT_S

log = logging.getLogger("locus.replay")

START_S = 60.0  # for the process to start and to check its order
MOST_S = 900.0  # a replay that takes longer is stopped
STOPS_S = 2.0  # for what is written about a replay that a stop of the gateway interrupts


class ReplayRunner:
    """Use as an async context manager: leaving it ends the replay that runs.

    Attributes:
        jobs: where replays are kept.
    """

    def __init__(self, jobs: ReplayJobs) -> None:
        self.jobs = jobs
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "ReplayRunner":
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def start(self, order: Order, options: JsonObject) -> ReplayJob:
        """Starts a replay, once its order has been found to be possible.

        Args:
            options: what is kept of the order.

        Raises:
            Conflict: another one runs.
            InvalidRequest: it is not possible.
            InternalError: its process cannot be started.
            StoreUnavailable: the database cannot be used.
        """
        job = await self.jobs.begin(options)
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._run(job, order, ready), name=f"replay {job.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.shield(ready)
        return job

    async def _run(self, job: ReplayJob, order: Order, ready: asyncio.Future[None]) -> None:
        process: Process | None = None
        beats = asyncio.create_task(self._beat(job))
        try:
            try:
                async with asyncio.timeout(START_S):
                    process = await _process()
                    await _tell(process, order)
                    first = await _line(process)
            except (OSError, TimeoutError) as exc:
                log_exception(log, "the process of a replay cannot be started", exc)
                first = "", b""
            if first[0] != READY:
                with contextlib.suppress(StoreUnavailable):  # it counts as interrupted soon
                    await self.jobs.withdraw(job.id)
                ready.set_exception(_refusal(*first))
                return
            ready.set_result(None)
            assert process is not None
            ending = await _ending(process, beats)
            if ending is not None:
                await until_stored(lambda: self.jobs.end(job.id, *ending))
        except StoreUnavailable as exc:
            log.warning("the result of a replay is lost: %s", exc.message)
        except asyncio.CancelledError:
            with contextlib.suppress(StoreUnavailable, TimeoutError):
                async with asyncio.timeout(STOPS_S):
                    await self.jobs.end(job.id, "interrupted", "the gateway was stopped")
            raise
        finally:
            beats.cancel()
            if process is not None:
                await _ended(process)
            if not ready.done():
                ready.set_exception(Stopped())

    async def _beat(self, job: ReplayJob) -> None:
        """Ends once another process has ended the replay."""
        renewed = True
        while renewed:
            await asyncio.sleep(BEAT_S)
            with contextlib.suppress(StoreUnavailable):
                renewed = await self.jobs.beat(job.id)


def _refusal(word: str, value: bytes) -> GatewayError:
    """Why a replay does not begin, by the first line of its process."""
    if word != WRONG:
        return InternalError("The process of the replay cannot be started; the log has the reason.")
    wrong = orjson.loads(value)
    return InvalidRequest(f"{wrong['message']}.", param=wrong["param"] or None)


async def _ending(process: Process, beats: asyncio.Task[None]) -> tuple[State, str, str | None] | None:
    """State, reason and result once the process has ended, or took too long; None if another one has ended the replay."""
    answer = asyncio.create_task(_line(process))
    try:
        async with asyncio.timeout(MOST_S):
            await asyncio.wait([answer, beats], return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            return None
        word, value = answer.result()
    except TimeoutError:
        return "failed", f"it took longer than {MOST_S / 60:.0f} minutes: ask for fewer rows or cost weights", None
    except ValueError as exc:  # a line that is too long
        log_exception(log, "a replay has no result", exc)
        return "failed", "its result is too large: ask for fewer cost weights", None
    finally:
        answer.cancel()
    if word == RESULT:
        return "done", "", value.decode()
    return "failed", f"its process failed{f': {value.decode()}' if word == FAILED else ''}; see the log", None


class _Pickler(pickle.Pickler):
    """Runs some Python for each object, so that other threads have their turn meanwhile: a large portfolio takes 20 ms."""

    def reducer_override(self, obj: object) -> Any:
        return NotImplemented


def _pickled(order: Order) -> bytes:
    written = io.BytesIO()
    _Pickler(written).dump(order)
    return written.getvalue()


async def _process() -> Process:
    # Modules are found where this process finds them: `-m` alone would look into the working folder first.
    code = f"import sys; sys.path[:] = {sys.path!r}; from gateway.replay.child import main; main()"
    return await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-c", code, stdin=PIPE, stdout=PIPE, limit=LONGEST_LINE
    )


async def _tell(process: Process, order: Order) -> None:
    assert process.stdin is not None
    process.stdin.write(await asyncio.to_thread(_pickled, order))
    with contextlib.suppress(ConnectionError):  # it has ended, as its missing line says
        await process.stdin.drain()


async def _line(process: Process) -> tuple[str, bytes]:
    """The next line, as its first word and the rest; ("", b"") if the process has ended."""
    assert process.stdout is not None
    word, _, value = (await process.stdout.readline()).rstrip(b"\n").partition(b" ")
    return word.decode(), value


async def _ended(process: Process) -> None:
    """Ends a process, if it has not ended by itself."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
    if process.stdin is not None:
        process.stdin.close()
        with contextlib.suppress(ConnectionError):
            await process.stdin.wait_closed()
