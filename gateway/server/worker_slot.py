"""The supervisor's view of one worker: its process, its end of the link, and what the worker has reported."""

import selectors
import socket
from collections.abc import Iterator

import orjson

from gateway.record.totals import TotalsDump
from gateway.server.link_messages import FromWorker, ToWorker, encode_message

SEND_S = 1.0  # how long a worker may take to receive a message
STEADY_S = 10.0  # a worker that ran this long is restarted almost at once
BACKOFF_S = 0.25
MAX_BACKOFF_S = 30.0


class WorkerSlot:
    """The place of one worker, which successive processes take.

    Attributes:
        pid: of the process that has the place; None if none has.
        totals: the last that this process reported.
        ready: it accepts requests.
        start_at: when the next process is started, monotonic seconds; None if no start is planned.
    """

    def __init__(self, index: int, selector: selectors.BaseSelector) -> None:
        self.index = index
        self.pid: int | None = None
        self.totals: TotalsDump | None = None
        self.ready = False
        self.start_at: float | None = None
        self._selector = selector
        self._link: socket.socket | None = None
        self._unread = bytearray()
        self._started_at = 0.0
        self._backoff_s = 0.0

    @property
    def connected(self) -> bool:
        return self._link is not None

    def started(self, pid: int, link: socket.socket, now: float) -> None:
        """A process has taken the place; its messages come over `link`."""
        link.setblocking(False)
        self._unread.clear()
        self.pid, self._link, self._started_at, self.ready = pid, link, now, False
        self._selector.register(link, selectors.EVENT_READ, self)

    def plan_restart(self, now: float) -> float:
        """Sets `start_at` by exponential backoff; gives the delay, seconds."""
        steady = self.ready and now - self._started_at >= STEADY_S
        self._backoff_s = BACKOFF_S if steady else min(max(2 * self._backoff_s, BACKOFF_S), MAX_BACKOFF_S)
        self.start_at = now + self._backoff_s
        return self._backoff_s

    def start_failed(self, now: float) -> None:
        """No process could be started."""
        self._started_at, self.ready = now, False

    def receive(self) -> Iterator[FromWorker]:
        """The messages that have arrived completely. Disconnects at the end of the link."""
        if self._link is None:
            return
        at_end = False
        try:
            while data := self._link.recv(1 << 20):
                self._unread += data
            at_end = True
        except BlockingIOError:
            pass
        except OSError:
            at_end = True
        *lines, self._unread = self._unread.split(b"\n")
        for line in lines:
            yield orjson.loads(bytes(line))
        if at_end:
            self.disconnect()

    def send(self, message: ToWorker) -> None:
        """Sends a message; a worker that does not receive it in time is disconnected, so that it stops."""
        if self._link is None:
            return
        try:
            self._link.settimeout(SEND_S)
            self._link.sendall(encode_message(message))
            self._link.setblocking(False)
        except TimeoutError:  # part of a line may have been sent, so the link cannot be used again
            self.disconnect()
        except OSError:  # the process has ended, which SIGCHLD reports
            self._link.setblocking(False)

    def disconnect(self) -> None:
        """Closes the supervisor's end of the link."""
        if self._link is not None:
            self._selector.unregister(self._link)
            self._link.close()
            self._link = None

    def close_inherited(self) -> None:
        """Closes the link in a forked process, which must not keep the links of other workers open."""
        if self._link is not None:
            self._link.close()
