"""Several worker processes of one gateway, and the portfolio with which a restarted worker begins."""

import contextlib
import os
from collections.abc import Callable
from dataclasses import replace

from gateway.config.portfolio_file import PortfolioError, load_portfolio
from gateway.server.launch import Launch
from gateway.server.listener import for_listener
from gateway.server.process import freeze_startup_objects, log_to_stderr
from gateway.server.reload import Fingerprint, fingerprint
from gateway.server.supervisor import Supervisor
from gateway.server.worker import Worker


class WorkerGroup:
    """A supervisor and its workers. Keeps the newest portfolio that a worker has put in force.

    Args:
        launch: of the first workers.
        serve: serves in a worker until it stops, and gives its exit status.
    """

    def __init__(self, launch: Launch, number: int, serve: Callable[[Launch], int]) -> None:
        self._launch = launch
        self._serve = serve
        self._supervisor = Supervisor(
            number,
            launch.listener,
            self._work,
            ready=lambda: self._launch.announce(self._launch.portfolio),
            reloaded=self._reloaded,
            grace_s=lambda: self._launch.portfolio.settings.shutdown_grace,
        )

    def run(self) -> int:
        """Runs the workers until a stop; gives the exit status."""
        freeze_startup_objects()  # before the fork, so that all workers share these pages
        return self._supervisor.run()

    def _work(self, worker: Worker) -> int:
        log_to_stderr(self._launch.log, worker.index + 1)
        return self._serve(replace(self._launch, worker=worker))

    def _reloaded(self, file: Fingerprint) -> None:
        """A worker has put the file in force. If it has changed again since, the workers will report that one too."""
        launch = self._launch
        path = launch.portfolio.path
        assert path is not None
        if file == launch.file or file != fingerprint(path):
            return
        with contextlib.suppress(PortfolioError):
            changed = for_listener(load_portfolio(path, os.environ), launch.portfolio)
            if file == fingerprint(path):
                self._launch = replace(launch, portfolio=changed, file=file)
