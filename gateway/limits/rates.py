"""Requests and tokens of the last minute, in cells of one second. Pure.

A limit per minute must hold in every minute. A token bucket with the capacity of a minute would admit twice the limit in its
first minute, and fixed minutes would admit twice the limit around their border. So the amounts of the last 60 seconds are kept, and
no minute has more than the limit. Amounts may exceed the limit afterwards, if an answer was longer than expected: then
the limit admits nothing until enough of them are a minute old.
"""

MINUTE_S = 60

Cells = dict[int, int]  # second since the epoch -> amount in that second


def prune(cells: Cells, now: float) -> int:
    """Removes what is older than a minute, and returns the sum of the rest.

    What is later than now was charged before the clock went back: it counts as of now, and ends in a minute.
    """
    second = int(now)
    if cells and max(cells) > second:
        cells[second] = sum(cells.pop(later) for later in [*cells] if later >= second)
    oldest = second - MINUTE_S
    if cells and min(cells) < oldest:
        for second in [second for second in cells if second < oldest]:
            del cells[second]
    return sum(cells.values())


def charge(cells: Cells, now: float, amount: int) -> None:
    """Adds an amount now. A negative amount gives back what was charged in the last minute and not used.

    It is taken from the oldest cells. So the sum is right now, and later it is never too small: a cell that is smaller than what
    was used in its second is also the first that ends.
    """
    if amount > 0:
        cells[int(now)] = cells.get(int(now), 0) + amount
    for second in sorted(cells):
        if amount >= 0:
            return
        taken = min(cells[second], -amount)
        cells[second] -= taken
        amount += taken
        if not cells[second]:
            del cells[second]


def free_at(cells: Cells, limit: int, need: int, now: float) -> float:
    """The time at which `need` is admitted, if nothing else is charged meanwhile; seconds since the epoch."""
    excess = sum(cells.values()) + min(need, limit) - limit
    for second in sorted(cells):
        if excess <= 0:
            break
        excess -= cells[second]
        now = max(now, float(second + MINUTE_S + 1))
    return now


def empty_at(cells: Cells, now: float) -> float:
    """The time at which all of the limit is free again, seconds since the epoch."""
    return max(now, float(max(cells) + MINUTE_S + 1)) if cells else now
