"""Several processes behind one listening socket: a supervisor that forks them, and each worker's link to it.

The link is a socket pair, so that nothing is left anywhere. It carries a line of JSON each way: down what to do, up what a
worker has counted. The supervisor answers no requests; it keeps the counts of workers that ended, and starts them again.
A worker whose supervisor is gone stops by itself.
"""

import asyncio
import contextlib
import itertools
import logging
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from gateway.bodies.memory_budget import default_limit
from gateway.config.portfolio import Deployment, LoadSettings, Model, Portfolio
from gateway.core.safe_logging import log_defect
from gateway.record.metrics import Metrics, Totals
from gateway.server.reload import Fingerprint

log = logging.getLogger("locus.workers")

PUSH_S = 0.25  # a worker that is killed takes at most so much of its counts with it
ANSWER_S = 0.25  # what the supervisor waits for workers when one asks for the totals of all
TELL_S = 1.0
STEADY_S = 10.0  # who lived longer is started again at once, or nearly so
BACKOFF_S = 0.25
MAX_BACKOFF_S = 30.0
LAST_S = 10.0  # beyond the grace period, for records and last words; then a worker hangs, and is killed
MAX_LINE = 1 << 28
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


@dataclass(frozen=True, slots=True)
class Worker:
    """One of `number` processes, `index` counting from 0, and its end of the link."""

    index: int
    number: int
    link: socket.socket

    def share(self, portfolio: Portfolio) -> Portfolio:
        """The portfolio with this worker's part of each limit, so that together they keep those of the file.

        Each gets one place at least: where a limit is smaller than the number of workers, it is that number.
        """
        load = portfolio.settings.load
        mine = LoadSettings(
            max_requests=self._part(load.max_requests),
            max_queued=self._part(load.max_queued, at_least=0),
            queue_s=load.queue_s,
            max_memory_bytes=self._part(load.max_memory_bytes or default_limit()),
        )
        return replace(
            portfolio,
            models=tuple(map(self._model, portfolio.models)),
            embedding_models=tuple(map(self._model, portfolio.embedding_models)),
            settings=replace(portfolio.settings, load=mine),
        )

    def _model(self, model: Model) -> Model:
        return replace(model, deployments=tuple(self._deployment(d) for d in model.deployments))

    def _deployment(self, spec: Deployment) -> Deployment:
        limits: dict[str, Any] = {
            name: self._part(limit)
            for name in ("rpm", "tpm", "max_parallel_requests")
            if (limit := getattr(spec, name)) is not None
        }
        return replace(spec, **limits)

    def _part(self, limit: int, at_least: int = 1) -> int:
        whole, rest = divmod(limit, self.number)
        return max(at_least, whole + (self.index < rest))


def below(portfolio: Portfolio, number: int) -> list[str]:
    """Limits of calls at once that so many workers cannot keep, since each makes at least one."""
    return [
        f"{spec.id}: {number} workers make up to {number} calls at once, not max_parallel_requests: {limit}"
        for model in (*portfolio.models, *portfolio.embedding_models)
        for spec in model.deployments
        if (limit := spec.max_parallel_requests) is not None and limit < number
    ]


class Link:
    """A worker's end of the link. Use as an async context manager; leaving it sends the last counts.

    Args:
        stop: called when the worker shall stop; True: at once.

    Attributes:
        reload: called when the portfolio file shall be read.
    """

    def __init__(self, sock: socket.socket, stop: Callable[[bool], None]) -> None:
        self.reload: Callable[[], None] = lambda: None
        self.metrics = Metrics(self._ask_others, self._add_others)
        self._sock = sock
        self._stop = stop
        self._sent = b""
        self._others: dict[str, Any] = {"living": [], "ended": Totals().dump()}
        self._asked: dict[int, asyncio.Future[None]] = {}
        self._numbers = itertools.count()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Link":
        self._reader, self._writer = await asyncio.open_unix_connection(sock=self._sock, limit=MAX_LINE)
        self._tasks = [asyncio.create_task(self._read(), name="link"), asyncio.create_task(self._push(), name="totals")]
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._send_totals()
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def ready(self) -> None:
        """Requests are answered from now on."""
        self._send({"kind": "ready"})

    def reloaded(self, file: Fingerprint) -> None:
        """The portfolio file, as it was when it had this fingerprint, is in force."""
        self._send({"kind": "reloaded", "file": file})

    async def _ask_others(self) -> None:
        number = next(self._numbers)
        self._send_totals()  # first: what this one shows must not be forgotten when it dies
        self._send({"kind": "ask", "number": number})
        answered = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(2 * ANSWER_S):
                await answered
        except TimeoutError:
            log.warning("the supervisor does not answer; the metrics of the other workers are older")
        finally:
            del self._asked[number]

    def _add_others(self, totals: Totals) -> None:
        totals.merge(self._others["ended"], gauges=False)
        for other in self._others["living"]:
            totals.merge(other)

    async def _read(self) -> None:
        with contextlib.suppress(OSError):
            while line := await self._reader.readline():
                self._heed(orjson.loads(line))
        self._stop(False)  # no supervisor is there to start it again, or to stop it

    def _heed(self, message: dict[str, Any]) -> None:
        match message["kind"]:
            case "stop":
                self._stop(message["at_once"])
            case "reload":
                self.reload()
            case "totals":
                self._send_totals()
            case "others":
                self._others = message
                if (answered := self._asked.get(message["number"])) is not None and not answered.done():
                    answered.set_result(None)

    async def _push(self) -> None:
        while True:
            await asyncio.sleep(PUSH_S)
            if not self._writer.transport.get_write_buffer_size():
                self._send_totals(only_changed=True)

    def _send_totals(self, *, only_changed: bool = False) -> None:
        line = orjson.dumps({"kind": "totals", "totals": self.metrics.dump()}) + b"\n"
        if not only_changed or line != self._sent:
            self._sent = line
            self._writer.write(line)

    def _send(self, message: dict[str, Any]) -> None:
        self._writer.write(orjson.dumps(message) + b"\n")


@dataclass
class _Slot:
    """The place of one worker, whichever process has it now."""

    index: int
    pid: int | None = None
    link: socket.socket | None = None
    unread: bytearray = field(default_factory=bytearray)
    totals: dict[str, Any] | None = None
    ready: bool = False
    since: float = 0.0
    start_at: float | None = None
    backoff_s: float = 0.0


@dataclass
class _Question:
    """A worker wants the totals of the others."""

    slot: _Slot
    number: int
    missing: set[int]
    deadline: float


class Supervisor:
    """Forks the workers and looks after them until a signal ends it. Knows nothing of what they do.

    Args:
        work: runs in each worker, and gives its exit status.
        ready: called once, when the first worker answers requests.
        reloaded: called with its fingerprint when a worker has put a file in force.
        grace_s: how long a stop may take; asked when it begins.
    """

    def __init__(
        self,
        number: int,
        listener: socket.socket,
        work: Callable[[Worker], int],
        ready: Callable[[], None],
        reloaded: Callable[[Fingerprint], None],
        grace_s: Callable[[], float],
    ) -> None:
        self._slots = [_Slot(index) for index in range(number)]
        self._listener = listener
        self._work = work
        self._ready = ready
        self._reloaded = reloaded
        self._grace_s = grace_s
        self._selector = selectors.DefaultSelector()
        self._private: tuple[socket.socket, ...] = ()
        self._ended = Totals()
        self._questions: list[_Question] = []
        self._was_ready = False
        self._stops = 0  # signals so far that asked for it
        self._kill_at: float | None = None
        self._status = 0

    def run(self) -> int:
        """Until all workers have ended after a stop, or the first one could not start; gives the exit status."""
        with self._signals() as told, self._selector:
            self._selector.register(told, selectors.EVENT_READ)
            self._start(self._slots[0])  # alone: what is wrong with all of them is then said once
            while any(slot.pid is not None for slot in self._slots) or (self._was_ready and not self._stops):
                links = []
                for key, _ in self._selector.select(self._timeout_s()):
                    if key.fileobj is told:
                        self._signal(told.recv(4096))
                    else:
                        links.append(key.data)
                for slot in links:
                    self._receive(slot)
                self._reap()
                self._tick(time.monotonic())
        return self._status

    def _timeout_s(self) -> float | None:
        times = [slot.start_at for slot in self._slots if slot.start_at is not None]
        times += [question.deadline for question in self._questions]
        times += [] if self._kill_at is None else [self._kill_at]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _tick(self, now: float) -> None:
        for slot in self._slots:
            if slot.start_at is not None and now >= slot.start_at:
                self._start(slot)
        for question in [q for q in self._questions if now >= q.deadline]:
            self._answer(question)
        if self._kill_at is not None and now >= self._kill_at:
            self._kill_at = None
            for slot in self._slots:
                if slot.pid is not None:
                    log.error("worker %d does not stop and is killed", slot.index + 1)
                    os.kill(slot.pid, signal.SIGKILL)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[socket.socket]:
        """A socket from which the numbers of signals can be read as they come."""
        told, tell = socket.socketpair()
        with told, tell:
            tell.setblocking(False)
            self._private = (told, tell)
            before = {number: signal.signal(number, lambda *_: None) for number in _SIGNALS}
            old = signal.set_wakeup_fd(tell.fileno())
            try:
                yield told
            finally:
                signal.set_wakeup_fd(old)
                for number, handler in before.items():
                    signal.signal(number, handler)

    def _signal(self, numbers: bytes) -> None:
        for number in numbers:
            if number in (signal.SIGTERM, signal.SIGINT):
                self._stop()
        if signal.SIGHUP in numbers:  # once, however many came
            self._tell_all({"kind": "reload"})

    def _stop(self) -> None:
        self._stops += 1
        at_once = self._stops > 1
        if not at_once:
            self._listener.close()  # else connections would wait here for ever
        for slot in self._slots:
            slot.start_at = None
        self._tell_all({"kind": "stop", "at_once": at_once})
        self._kill_at = time.monotonic() + LAST_S + (0.0 if at_once else self._grace_s())

    def _start(self, slot: _Slot) -> None:
        ours, theirs = socket.socketpair()
        slot.start_at = None
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            pid = os.fork()
            if pid == 0:
                self._child(Worker(slot.index, len(self._slots), theirs), ours)
        except OSError as exc:
            ours.close()
            slot.since, slot.ready = time.monotonic(), False
            self._start_later(slot, f"worker {slot.index + 1} cannot be started: {exc}")
            return
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            theirs.close()
        ours.setblocking(False)
        slot.pid, slot.link, slot.since, slot.ready = pid, ours, time.monotonic(), False
        slot.unread.clear()
        self._selector.register(ours, selectors.EVENT_READ, slot)
        log.info("worker %d is process %d", slot.index + 1, pid)

    def _child(self, worker: Worker, ours: socket.socket) -> None:
        """Never returns."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_IGN if number == signal.SIGHUP else signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            self._selector.close()
            for sock in (*self._private, ours, *(slot.link for slot in self._slots)):
                if sock is not None:  # of the other workers: they must see it when the supervisor is gone
                    sock.close()
            status = self._work(worker)
        except BaseException as exc:
            log_defect(log, f"worker {worker.index + 1} failed", exc)
        finally:
            os._exit(status)

    def _receive(self, slot: _Slot) -> None:
        """Reads what a worker has said so far."""
        data = b""
        if slot.link is None:
            return
        try:
            while data := slot.link.recv(1 << 20):
                slot.unread += data
        except BlockingIOError:
            data = b"more may come"
        except OSError:
            pass
        *lines, rest = slot.unread.split(b"\n")
        slot.unread = rest
        for line in lines:
            self._heed(slot, orjson.loads(bytes(line)))
        if not data:
            self._hang_up(slot)

    def _hang_up(self, slot: _Slot) -> None:
        if slot.link is not None:
            self._selector.unregister(slot.link)
            slot.link.close()
            slot.link = None

    def _heed(self, slot: _Slot, message: dict[str, Any]) -> None:
        match message["kind"]:
            case "totals":
                slot.totals = message["totals"]
                self._heard(slot)
            case "ask":
                others = [other for other in self._slots if other is not slot and other.ready and other.link]
                missing = {other.index for other in others}
                self._questions.append(
                    _Question(slot, message["number"], missing, time.monotonic() + ANSWER_S if missing else 0.0)
                )
                for other in others:
                    self._tell(other, {"kind": "totals"})
            case "ready":
                slot.ready = True
                if not self._was_ready:
                    self._was_ready = True
                    self._ready()
                    for other in self._slots:
                        if other.pid is None and not self._stops:
                            self._start(other)
            case "reloaded":
                self._reloaded(None if message["file"] is None else tuple(message["file"]))

    def _heard(self, slot: _Slot) -> None:
        """Nothing more is waited for from this worker."""
        for question in list(self._questions):
            question.missing.discard(slot.index)
            if not question.missing:
                self._answer(question)

    def _answer(self, question: _Question) -> None:
        self._questions.remove(question)
        living = [s.totals for s in self._slots if s is not question.slot and s.totals is not None]
        told = {"kind": "others", "number": question.number, "living": living, "ended": self._ended.dump()}
        self._tell(question.slot, told)

    def _tell_all(self, message: dict[str, Any]) -> None:
        for slot in self._slots:
            self._tell(slot, message)

    def _tell(self, slot: _Slot, message: dict[str, Any]) -> None:
        if slot.link is None:
            return
        try:
            slot.link.settimeout(TELL_S)
            slot.link.sendall(orjson.dumps(message) + b"\n")
            slot.link.setblocking(False)
        except TimeoutError:  # half a line is out; without its link the worker stops
            self._hang_up(slot)
        except OSError:  # it has ended, which SIGCHLD tells
            slot.link.setblocking(False)

    def _reap(self) -> None:
        for slot in self._slots:
            if slot.pid is None:
                continue
            pid, status = os.waitpid(slot.pid, os.WNOHANG)
            if not pid:
                continue
            self._receive(slot)  # its last counts
            self._hang_up(slot)
            slot.pid = None
            if slot.totals is not None:
                self._ended.merge(slot.totals, gauges=False)
                slot.totals = None
            self._questions = [question for question in self._questions if question.slot is not slot]
            self._heard(slot)
            self._after(slot, pid, os.waitstatus_to_exitcode(status))

    def _after(self, slot: _Slot, pid: int, code: int) -> None:
        """A worker has ended: as it should, or it is started again."""
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        who = f"worker {slot.index + 1}, process {pid},"
        if self._stops:
            if code not in (0, -signal.SIGTERM, -signal.SIGINT):  # by these before it could take notice of them
                log.error("%s %s during the stop", who, how)
                self._status = 1
        elif not self._was_ready:
            if code < 0:
                log.error("%s %s before it had started", who, how)
            self._status = abs(code)
        else:
            self._start_later(slot, f"{who} {how}")

    def _start_later(self, slot: _Slot, why: str) -> None:
        now = time.monotonic()
        steady = slot.ready and now - slot.since >= STEADY_S
        slot.backoff_s = BACKOFF_S if steady else min(max(2 * slot.backoff_s, BACKOFF_S), MAX_BACKOFF_S)
        slot.start_at = now + slot.backoff_s
        log.error("%s; another one takes its place in %.2f s", why, slot.backoff_s)
