"""Asks the members of an ensemble until no further answer can change the result."""

import asyncio
from collections import deque

from gateway.ensemble.calls import Calls
from gateway.ensemble.key import Key
from gateway.ensemble.member_call import MemberCall, ask
from gateway.ensemble.plan import Member, Plan
from gateway.ensemble.vote import Ballot, decided


class Poll:
    """The members that are asked for one request.

    Attributes:
        asked: in the order in which they were asked.
    """

    def __init__(self, plan: Plan, calls: Calls) -> None:
        self.asked: list[MemberCall] = []
        self._ensemble = plan.ensemble
        self._calls = calls
        self._waiting = deque(plan.members)
        self._spare = deque(plan.spare)
        self._running: dict[asyncio.Task[None], MemberCall] = {}
        # A fused answer is made from the answers of all members.
        self._first = len(plan.members) if plan.ensemble.aggregate == "fuse" else plan.ensemble.first

    @property
    def answered(self) -> list[MemberCall]:
        """The members that have answered, in the order in which they were asked."""
        return [one for one in self.asked if one.answer is not None]

    @property
    def counted(self) -> list[MemberCall]:
        """Those of them whose answers count."""
        return [one for one in self.answered if not one.abstains]

    async def run(self) -> None:
        """Asks until the result is decided, or no member is left."""
        try:
            self._ask_first()
            while self._running:
                done, _ = await asyncio.wait(
                    self._running, timeout=self._patience_s(), return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    asked = self._running.pop(task)
                    task.result()  # raises what is no failure of a provider
                    if asked.replaceable:
                        self._replace()
                self._mark_slow()
                if self._is_decided():
                    return
                self._ask_first()
                if not self._prompt:
                    self._ask_next()
        finally:
            await self._give_up()

    def ballots(self) -> list[Ballot]:
        """The votes. Prose agrees with no other answer."""
        return [
            Ballot(one.place, one.member.p_correct, one.member.weight, one.key or Key("free", str(one.place)))
            for one in self.counted
        ]

    @property
    def _prompt(self) -> list[MemberCall]:
        """The members that are expected to answer soon."""
        return [one for one in self._running.values() if one.slow_at is not None]

    def _patience_s(self) -> float | None:
        """Seconds until a member counts as slow; None if none will."""
        waited_for = [
            one.slow_at for one in self._running.values() if one.slow_at is not None and one.call.opened is None
        ]
        return max(0.0, min(waited_for) - self._calls.clock()) if waited_for else None

    def _mark_slow(self) -> None:
        """Lets another member be asked beside each one that has not begun to answer in time. A late answer still counts."""
        now = self._calls.clock()
        for one in self._prompt:
            if one.call.opened is None and one.slow_at is not None and now >= one.slow_at:
                one.slow_at = None
                self._replace()

    def _ask_first(self) -> None:
        """Asks as many members at once as the policy says; members that failed or are slow do not count."""
        while len(self._prompt) + len(self.answered) < self._first and self._ask_next():
            pass

    def _ask_next(self) -> bool:
        """Asks the next member that the limits allow; returns False if there is none."""
        while self._waiting:
            member = self._waiting.popleft()
            if self._calls.affordable(member.usd):
                asked = MemberCall(member, len(self.asked), self._calls.begin(member.name, member.usd))
                asked.slow_at = self._calls.clock() + self._calls.silence_s(member.name, self._calls.request)
                self.asked.append(asked)
                self._running[asyncio.create_task(ask(asked, self._calls))] = asked
                return True
        return False

    def _replace(self) -> None:
        if self._spare:
            self._waiting.append(self._spare.popleft())

    def _is_decided(self) -> bool:
        counted = self.counted
        if not counted:
            return False
        if self._ensemble.aggregate == "fuse":  # it waits for all but slow members
            return len(counted) > 1 and not self._prompt and not self._left()
        if all(one.key is None for one in counted):
            # Prose is not voted on: the most probable member's answer counts, or the judge compares it with another one.
            # Cheap members may be asked before that member.
            asked = [one.member for one in (*counted, *self._prompt)]
            best = max(member.p_correct for member in (*asked, *self._left()))
            enough = 1 if self._ensemble.judge is None else 2
            return len(counted) >= enough and any(one.member.p_correct == best for one in counted)
        left = [one.member.weight for one in self._running.values()] + [one.weight for one in self._left()]
        return decided(self.ballots(), left)

    def _left(self) -> list[Member]:
        """The members that may still be asked."""
        return [member for member in self._waiting if self._calls.affordable(member.usd)]

    async def _give_up(self) -> None:
        """Ends the calls whose answers are not needed any more."""
        tasks = list(self._running)
        self._running.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
