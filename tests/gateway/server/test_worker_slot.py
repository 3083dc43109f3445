"""The supervisor's view of its workers, over real socket pairs, without processes."""

import selectors
import socket
from collections.abc import Iterator

import pytest

from gateway.record.totals import Totals, TotalsDump
from gateway.server.link_messages import FromWorker, Others, encode_message
from gateway.server.totals_exchange import TotalsExchange
from gateway.server.worker_slot import BACKOFF_S, MAX_BACKOFF_S, STEADY_S, WorkerSlot

READY: FromWorker = {"kind": "ready"}


class Workers:
    """Two slots, and the workers' ends of their links."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self.slots = [WorkerSlot(index, selector) for index in range(2)]
        self.ends: list[socket.socket] = []
        for slot in self.slots:
            ours, theirs = socket.socketpair()
            theirs.settimeout(5)
            slot.started(100 + slot.index, ours, 0.0)
            self.ends.append(theirs)


@pytest.fixture
def workers() -> Iterator[Workers]:
    with selectors.DefaultSelector() as selector:
        made = Workers(selector)
        yield made
        for slot, end in zip(made.slots, made.ends, strict=True):
            slot.disconnect()
            end.close()


def counted(number: float) -> TotalsDump:
    totals = Totals()
    totals.add("locus_records_lost", (), number)
    totals.gauges["locus_requests_in_flight"] = number
    return totals.dump()


def test_messages_may_arrive_in_parts(workers: Workers) -> None:
    slot, end = workers.slots[0], workers.ends[0]
    line = encode_message(READY)
    end.sendall(line + line[:5])
    assert list(slot.receive()) == [READY]
    assert list(slot.receive()) == []
    end.sendall(line[5:])
    assert list(slot.receive()) == [READY]
    assert slot.connected


def test_a_worker_that_closes_its_link_is_heard_to_the_end(workers: Workers) -> None:
    slot, end = workers.slots[0], workers.ends[0]
    end.sendall(encode_message(READY))
    end.close()
    assert list(slot.receive()) == [READY]
    assert not slot.connected
    slot.send({"kind": "reload"})  # has no effect
    assert list(slot.receive()) == []


def test_restarts_back_off_until_a_worker_was_steady() -> None:
    with selectors.DefaultSelector() as selector:
        slot = WorkerSlot(0, selector)
        delays = [slot.plan_restart(1.0) for _ in range(10)]
        assert delays[:4] == [BACKOFF_S, 2 * BACKOFF_S, 4 * BACKOFF_S, 8 * BACKOFF_S]
        assert delays[-1] == MAX_BACKOFF_S
        assert slot.start_at == 1.0 + MAX_BACKOFF_S
        ours, theirs = socket.socketpair()
        with theirs:
            slot.started(1, ours, 5.0)
            slot.ready = True
            assert slot.plan_restart(5.0 + STEADY_S) == BACKOFF_S
            slot.disconnect()


def test_a_question_is_answered_once_all_others_have_sent_their_totals(workers: Workers) -> None:
    first, second = workers.slots
    first.ready = second.ready = True
    exchange = TotalsExchange(workers.slots)
    exchange.ask(first, 7)
    assert workers.ends[1].recv(100) == encode_message({"kind": "send_totals"})
    exchange.answer_due(0.0)
    assert len(exchange.deadlines) == 1
    exchange.received(second, counted(3))
    expected: Others = {"kind": "others", "number": 7, "living": [counted(3)], "ended": Totals().dump()}
    assert workers.ends[0].recv(1 << 16) == encode_message(expected)
    assert exchange.deadlines == []


def test_the_last_known_totals_are_used_after_the_deadline(workers: Workers) -> None:
    first, second = workers.slots
    first.ready = second.ready = True
    exchange = TotalsExchange(workers.slots)
    exchange.received(second, counted(2))
    exchange.ask(first, 1)
    exchange.answer_due(exchange.deadlines[0])
    expected: Others = {"kind": "others", "number": 1, "living": [counted(2)], "ended": Totals().dump()}
    assert workers.ends[0].recv(1 << 16) == encode_message(expected)


def test_counts_of_an_ended_worker_stay_and_its_gauges_do_not(workers: Workers) -> None:
    first, second = workers.slots
    exchange = TotalsExchange(workers.slots)
    exchange.received(second, counted(2))
    exchange.ended(second)
    exchange.ask(first, 1)
    exchange.answer_due(0.0)
    ended = Totals()
    ended.add("locus_records_lost", (), 2)
    expected: Others = {"kind": "others", "number": 1, "living": [], "ended": ended.dump()}
    assert workers.ends[0].recv(1 << 16) == encode_message(expected)
