"""The process that replays the record for `POST /admin/replay`: apart, so that no request of the gateway waits for it.

It reads a pickled `Order` from standard input, which its gateway writes, and ends when that is closed. It writes lines: "ready", or
"wrong" with what is wrong with the order; then "result" with the reports as JSON, or "failed" with the reason.
"""

import logging
import os
import pickle
import sys
import threading
from pathlib import Path

import orjson
from threadpoolctl import threadpool_limits

from gateway.config.portfolio_file import PortfolioError, load_portfolio
from gateway.core.json_types import JsonObject
from gateway.core.safe_logging import SafeFormatter, log_exception
from gateway.replay.advise import advise
from gateway.replay.alternatives import UnknownModel, UnknownPolicy, compare, without
from gateway.replay.logged import DatabaseLog
from gateway.replay.order import FAILED, READY, RESULT, WRONG, Order
from gateway.replay.sample import sample
from gateway.replay.savings import savings
from gateway.routing.placed_models import PlacedModels, placed_models
from gateway.store.engines import sync_engine
from router.errors import ArtifactError, RouterError
from router.model.serving import Router

log = logging.getLogger("locus.replay")

NICE = 10  # requests come first
OTHER_SPACE = "the other portfolio must have the checkpoint and model spaces of that in force: other predictions cannot be compared"


class WrongOrder(Exception):
    """The order cannot be carried out; the message says why.

    Attributes:
        param: the field of the request that is wrong.
    """

    def __init__(self, message: str, param: str) -> None:
        super().__init__(message)
        self.param = param


def main() -> None:
    """Carries out the order of standard input."""
    os.nice(NICE)
    os.environ["LOKY_MAX_CPU_COUNT"] = "1"  # this process alone predicts
    threadpool_limits(1, user_api="blas")
    handler = logging.StreamHandler()
    handler.setFormatter(SafeFormatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    order: Order = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with_gateway, daemon=True).start()
    try:
        router, present = _in_force(order)
        other = present if order.text is None else _other(order, order.text, router)
        if order.without:
            other = without(other, order.without)
        for one in order.alternatives:
            one.rule(other)
    except WrongOrder as exc:
        _say(WRONG, orjson.dumps({"message": str(exc), "param": exc.param}))
        return
    except UnknownPolicy as exc:
        _say(WRONG, orjson.dumps({"message": str(exc), "param": "policy"}))
        return
    except UnknownModel as exc:
        _say(WRONG, orjson.dumps({"message": str(exc), "param": "without"}))
        return
    _say(READY)
    try:
        _say(RESULT, result(order, present, other))
    except Exception as exc:  # a defect, or a database that is away
        log_exception(log, "a replay failed", exc)
        _say(FAILED, type(exc).__name__.encode())


def result(order: Order, present: PlacedModels, other: PlacedModels) -> bytes:
    """What was found, as JSON.

    Args:
        present: the portfolio in force.
        other: the one that decides instead.
    """
    engine = sync_engine(order.location, read_only=True)
    try:
        with engine.connect() as connection:
            read = DatabaseLog(connection, order.since, order.until, order.rows)
            found = _found(order, read, present, other)
    finally:
        engine.dispose()
    return orjson.dumps({"newest_only": read.cut} | found)


def _found(order: Order, read: DatabaseLog, present: PlacedModels, other: PlacedModels) -> JsonObject:
    if order.kind == "advice":
        return {"advice": advise(sample(read, order.checkpoint), present).as_json()}
    if order.kind == "savings":
        return {"savings": savings(read, present, order.checkpoint, order.since, order.until).as_json()}
    found = compare(read, present, other, order.alternatives, order.since, order.until)
    of = zip(order.alternatives, found, strict=True)
    return {"data": [one.fields() | each.report.as_json() for one, each in of]}


def _in_force(order: Order) -> tuple[Router, PlacedModels]:
    """The router of the files, and the models in force."""
    file = order.file
    try:
        router = Router.load(file.checkpoint, file.spaces, trust=file.trust_checkpoint)
        if router.checkpoint == order.checkpoint:
            return router, placed_models(file, router, order.in_use)
    except RouterError as exc:
        raise WrongOrder(f"the files of the portfolio in force have changed: {exc}", "") from exc
    raise WrongOrder("the file of the checkpoint in force has changed; reload the portfolio first", "")


def _other(order: Order, text: str, router: Router) -> PlacedModels:
    """The models of another portfolio, by the files that are in force."""
    file, path = order.file, order.file.path or Path("portfolio")
    try:
        portfolio = load_portfolio(path, os.environ, writes=False, text=text)
    except PortfolioError as exc:
        problems = [problem.removeprefix(f"{path}:") for problem in exc.problems]
        raise WrongOrder(f"line {'; line '.join(problems)}", "portfolio") from exc
    same = (portfolio.checkpoint, portfolio.spaces) == (file.checkpoint, file.spaces)
    if not same or portfolio.trust_checkpoint > file.trust_checkpoint:
        raise WrongOrder(OTHER_SPACE, "portfolio")
    try:
        return placed_models(portfolio, router, order.in_use)
    except ArtifactError as exc:
        raise WrongOrder(str(exc), "portfolio") from exc


def _say(word: str, value: bytes = b"") -> None:
    sys.stdout.buffer.write(word.encode() + b" " + value + b"\n")
    sys.stdout.buffer.flush()


def _end_with_gateway() -> None:
    sys.stdin.buffer.read()
    os._exit(1)
