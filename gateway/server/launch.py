"""The order to serve: what one gateway process is started with. Imports little, so that commands start quickly."""

import secrets
import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from starlette.routing import BaseRoute

from gateway.config.portfolio import Portfolio
from gateway.server.process import LogSettings
from gateway.server.reload import Fingerprint
from gateway.server.worker import Worker

Simulation = Callable[[Portfolio], AbstractAsyncContextManager[tuple[Portfolio, list[BaseRoute]]]]


@dataclass(frozen=True, slots=True)
class Launch:
    """The service of one process.

    Attributes:
        file: the fingerprint of the portfolio file when it was read.
        announce: called with the portfolio in force once requests are accepted; by the supervisor if there are workers.
        simulation: runs simulated models, and gives their portfolio and the routes that control them; None: real models.
        worker: this process's place among several; None if it is the only one.
        log: of this process and its workers.
        replica: names this gateway among those of one database; its workers have the same name.
    """

    portfolio: Portfolio
    file: Fingerprint
    listener: socket.socket
    announce: Callable[[Portfolio], None]
    simulation: Simulation | None = None
    worker: Worker | None = None
    log: LogSettings = field(default_factory=LogSettings)
    replica: str = field(default_factory=lambda: secrets.token_hex(8))
