"""The supervisor: forks the workers, restarts those that end, and stops them all. It answers no requests.

Why not uvicorn's supervisor (`uvicorn.supervisors.Multiprocess`, read in 0.54) or gunicorn's: users would lose
- one set of limits: workers there have no index, so max_requests and the memory budget could not be divided among them;
- reload without a restart: SIGHUP replaces every process there, each of which loads the router again and cuts off what outlasts
  the grace period; here a worker puts the changed file in force between two requests;
- a stop that ends: there the parent keeps the listening socket open and joins workers without a time limit, so connections wait
  in its queue for ever, one hung worker blocks the stop, and a second signal changes nothing;
- a backoff: a worker that crashes at its start is started again every 0.5 s there;
- workers that end when their supervisor is killed: there they stay, and hold the port;
- one page of metrics: prometheus_client's multiprocess mode cannot hold gauges that are read at the scrape (breakers, memory,
  queue), needs a hook at the end of each process that uvicorn lacks, leaves files behind, and its updates are slower (see
  `gateway.record.metrics`).
"""

import contextlib
import logging
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator

from gateway.core.safe_logging import log_exception
from gateway.server.link_messages import FromWorker, Reloaded, ToWorker
from gateway.server.reload import Fingerprint
from gateway.server.totals_exchange import TotalsExchange
from gateway.server.worker import Worker
from gateway.server.worker_slot import WorkerSlot

log = logging.getLogger("locus.workers")

KILL_AFTER_S = 10.0  # beyond the grace period, for records and final events; a worker that still runs then hangs
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


class Supervisor:
    """Runs a number of workers until a signal ends it. Does not know what they do.

    Args:
        work: runs in each worker, and gives its exit status.
        ready: called once, when the first worker accepts requests.
        reloaded: called with the fingerprint of a file that a worker has put in force.
        grace_s: how long a graceful stop may take; called when it begins.
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
        self._selector = selectors.DefaultSelector()
        self._slots = [WorkerSlot(index, self._selector) for index in range(number)]
        self._totals = TotalsExchange(self._slots)
        self._listener = listener
        self._work = work
        self._ready = ready
        self._reloaded = reloaded
        self._grace_s = grace_s
        self._signal_sockets: tuple[socket.socket, ...] = ()
        self._was_ready = False
        self._stop_requests = 0
        self._kill_at: float | None = None
        self._status = 0

    def run(self) -> int:
        """Runs until all workers have ended after a stop, or the first one could not start; gives the exit status."""
        with self._signals() as signals, self._selector:
            self._selector.register(signals, selectors.EVENT_READ)
            self._start(self._slots[0])  # alone, so that an error that all workers would have is logged once
            while any(slot.pid is not None for slot in self._slots) or (self._was_ready and not self._stop_requests):
                readable = []
                for key, _ in self._selector.select(self._timeout_s()):
                    if key.fileobj is signals:
                        self._handle_signals(signals.recv(4096))
                    else:
                        readable.append(key.data)
                for slot in readable:
                    self._receive(slot)
                self._reap()
                self._do_what_is_due(time.monotonic())
        return self._status

    # Time

    def _timeout_s(self) -> float | None:
        times = [slot.start_at for slot in self._slots if slot.start_at is not None]
        times += self._totals.deadlines
        times += [] if self._kill_at is None else [self._kill_at]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _do_what_is_due(self, now: float) -> None:
        for slot in self._slots:
            if slot.start_at is not None and now >= slot.start_at:
                self._start(slot)
        self._totals.answer_due(now)
        if self._kill_at is not None and now >= self._kill_at:
            self._kill_at = None
            for slot in self._slots:
                if slot.pid is not None:
                    log.error("worker %d does not stop and is killed", slot.index + 1)
                    os.kill(slot.pid, signal.SIGKILL)

    # Signals

    @contextlib.contextmanager
    def _signals(self) -> Iterator[socket.socket]:
        """A socket from which the numbers of signals can be read as they arrive."""
        receiver, sender = socket.socketpair()
        with receiver, sender:
            sender.setblocking(False)
            self._signal_sockets = (receiver, sender)
            before = {number: signal.signal(number, lambda *_: None) for number in _SIGNALS}
            old = signal.set_wakeup_fd(sender.fileno())
            try:
                yield receiver
            finally:
                signal.set_wakeup_fd(old)
                for number, handler in before.items():
                    signal.signal(number, handler)

    def _handle_signals(self, numbers: bytes) -> None:
        for number in numbers:
            if number in (signal.SIGTERM, signal.SIGINT):
                self._stop()
        if signal.SIGHUP in numbers:  # one reload for any number of them
            self._send_all({"kind": "reload"})

    def _stop(self) -> None:
        self._stop_requests += 1
        at_once = self._stop_requests > 1
        if not at_once:
            self._listener.close()  # or connections would wait in its queue for ever
        for slot in self._slots:
            slot.start_at = None
        self._send_all({"kind": "stop", "at_once": at_once})
        self._kill_at = time.monotonic() + KILL_AFTER_S + (0.0 if at_once else self._grace_s())

    # Processes

    def _start(self, slot: WorkerSlot) -> None:
        ours, theirs = socket.socketpair()
        slot.start_at = None
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            pid = os.fork()
            if pid == 0:
                self._run_child(Worker(slot.index, len(self._slots), theirs), ours)
        except OSError as exc:
            ours.close()
            slot.start_failed(time.monotonic())
            self._restart_later(slot, f"worker {slot.index + 1} cannot be started: {exc}")
            return
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            theirs.close()
        slot.started(pid, ours, time.monotonic())
        log.info("worker %d is process %d", slot.index + 1, pid)

    def _run_child(self, worker: Worker, supervisors_end: socket.socket) -> None:
        """Runs a forked worker. Never returns."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_IGN if number == signal.SIGHUP else signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            self._selector.close()
            for sock in (*self._signal_sockets, supervisors_end):
                sock.close()
            for slot in self._slots:  # or these workers would not notice the supervisor's end
                slot.close_inherited()
            status = self._work(worker)
        except BaseException as exc:
            log_exception(log, f"worker {worker.index + 1} failed", exc)
        finally:
            os._exit(status)

    def _reap(self) -> None:
        for slot in self._slots:
            if slot.pid is None:
                continue
            pid, status = os.waitpid(slot.pid, os.WNOHANG)
            if not pid:
                continue
            self._receive(slot)  # its last totals
            slot.disconnect()
            slot.pid = None
            self._totals.ended(slot)
            self._after_end(slot, pid, os.waitstatus_to_exitcode(status))

    def _after_end(self, slot: WorkerSlot, pid: int, code: int) -> None:
        """Restarts a worker that has ended, unless it ended by a stop or never started."""
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        process = f"worker {slot.index + 1}, process {pid},"
        if self._stop_requests:
            if code not in (0, -signal.SIGTERM, -signal.SIGINT):  # these end a worker that has no handlers for them yet
                log.error("%s %s during the stop", process, how)
                self._status = 1
        elif not self._was_ready:
            if code < 0:
                log.error("%s %s before it had started", process, how)
            self._status = abs(code)
        else:
            self._restart_later(slot, f"{process} {how}")

    def _restart_later(self, slot: WorkerSlot, reason: str) -> None:
        log.error("%s; another one takes its place in %.2f s", reason, slot.plan_restart(time.monotonic()))

    # Messages

    def _receive(self, slot: WorkerSlot) -> None:
        for message in slot.receive():
            self._handle(slot, message)

    def _handle(self, slot: WorkerSlot, message: FromWorker) -> None:
        if message["kind"] == "totals":
            self._totals.received(slot, message["totals"])
        elif message["kind"] == "ask_others":
            self._totals.ask(slot, message["number"])
        elif message["kind"] == "ready":
            self._worker_ready(slot)
        else:
            self._reloaded(_fingerprint(message))

    def _worker_ready(self, slot: WorkerSlot) -> None:
        slot.ready = True
        if self._was_ready:
            return
        self._was_ready = True
        self._ready()
        for other in self._slots:
            if other.pid is None and not self._stop_requests:
                self._start(other)

    def _send_all(self, message: ToWorker) -> None:
        for slot in self._slots:
            slot.send(message)


def _fingerprint(message: Reloaded) -> Fingerprint:
    """The fingerprint as it was sent: JSON makes a list of it."""
    if message["file"] is None:
        return None
    modified_ns, size, inode = message["file"]
    return modified_ns, size, inode
