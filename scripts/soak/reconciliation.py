"""What the clients saw, what the gateway recorded and what the providers billed, side by side."""

import itertools
import json
from collections import Counter
from typing import Any

from scripts.soak.clients import APIS, Seen
from scripts.soak.providers import CHARACTERS, Billed

# Least shares of the requests that a run must show. Half of what a healthy run has, or less: a gateway that refuses, or that
# never uses its stand-ins, must not pass.
WHOLE = 0.98  # whole answers, of the requests that expect one and whose client waited
LEAST = {"answered by a stand-in": 0.01, "joined from several models": 0.008, "retried on the same deployment": 0.01}
FAILED = (502, 503)  # where the only deployment that may answer fails
BUSY = (429, 502, 503, 504)


class Reconciliation:
    """Compares them.

    Args:
        away: while the gateway restarted, on the clients' clock.

    Attributes:
        broken: what breaks an invariant, by invariant.
        figures: how often each thing was seen.
    """

    def __init__(
        self, seen: list[Seen], records: list[dict[str, Any]], billed: list[Billed], away: tuple[float, float]
    ) -> None:
        self.seen = seen
        self.records = records
        self.billed = billed
        self.broken: dict[str, list[str]] = {}
        self.figures: Counter[str] = Counter()
        self._away = away
        self._records: dict[str, list[dict[str, Any]]] = {}
        for record in records:
            self._records.setdefault(record["request_id"], []).append(record)
        self._calls: dict[str, list[Billed]] = {}
        for call in sorted(billed, key=lambda call: call.at):
            self._calls.setdefault(call.nonce, []).append(call)

    def run(self) -> None:
        for seen in self.seen:
            self.figures[seen.end] += 1
            if seen.expects == "answer":
                self._answered(seen)
            else:
                self._refused(seen)
            self._ended(seen)
            self._recorded(seen)
        known = {seen.nonce for seen in self.seen}
        for nonce in self._records.keys() - known:
            self.breaks("no record without a request", nonce)
        for nonce in self._calls.keys() - known - {""}:
            self.breaks("no upstream call without a request", nonce)
        self._floors()

    def breaks(self, invariant: str, what: str) -> None:
        self.broken.setdefault(invariant, []).append(what)

    def _answered(self, seen: Seen) -> None:
        waited = seen.end != "left" and not self._at_the_door(seen)
        self.figures["answers expected"] += waited
        self.figures["answers given"] += seen.end == "complete"
        self.figures[f"whole answers by {seen.api}"] += seen.end == "complete"
        if seen.end == "error" and seen.status not in BUSY:
            self.breaks("errors say what happened: 429, 502, 503 or 504", f"{seen.status} {seen.nonce} {seen.detail}")

    def _refused(self, seen: Seen) -> None:
        if self._at_the_door(seen):
            return
        right = (401,) if seen.expects == "refusal" else FAILED
        invariant = (
            f"a wrong key gets {right[0]}" if seen.expects == "refusal" else "a model that fails gets 502 or 503"
        )
        self.figures["wrong keys refused" if seen.expects == "refusal" else "failures told as 502 or 503"] += 1
        if seen.end != "error" or seen.status not in right:
            self.breaks(invariant, f"{seen.end} {seen.status} {seen.nonce} {seen.detail}")

    def _at_the_door(self, seen: Seen) -> bool:
        """Whether the restart turned the request away before the gateway had accepted it."""
        accepted = seen.nonce in self._records or seen.nonce in self._calls
        in_time = self._away[0] - 1 <= seen.at + seen.seconds <= self._away[1] + 1
        return seen.end == "unheard" and in_time and not accepted

    def _ended(self, seen: Seen) -> None:
        where = f"{seen.api} {seen.nonce} {seen.detail}"
        if seen.end == "false":
            self.breaks("no answer that is cut, doubled or mixed up passes for a success", where)
        if seen.end == "unheard":
            if self._at_the_door(seen):
                self.figures["turned away by the restart"] += 1
            else:
                self.breaks("every accepted request ends in an answer or an explicit error", where)
        if seen.end == "complete":
            told = seen.usage_requested if seen.stream else True
            if len(seen.usages) != told:
                self.breaks("usage is reported once, and only if asked for", f"{seen.usages} {where}")

    def _recorded(self, seen: Seen) -> None:
        records, calls = self._records.get(seen.nonce, []), self._calls.get(seen.nonce, [])
        where = f"{seen.nonce}: {seen.end} {seen.status}, {len(records)} records, calls {[c.ended for c in calls]}"
        if seen.expects == "refusal":
            if records or calls:
                self.breaks("a request with a wrong key reaches neither a provider nor the record", where)
            return
        if len(records) > 1 or (not records and (calls or seen.end in ("complete", "error", "broken", "false"))):
            self.breaks("each accepted request has one record", where)
            return
        if not records:
            return
        (record,) = records
        right = {
            "complete": record["status"] == 200 and record["error"] is None,
            "error": record["status"] == seen.status and record["error"] is not None,
            "broken": record["status"] == 200 and record["error"] is not None,
        }
        if not right.get(seen.end, True):
            self.breaks("the record says how it ended", f"{where}, {record['status']} {record['error']}")
        self._paid(seen, record, calls)
        if seen.end != "complete":
            return
        if len([call for call in calls if call.tokens]) > 1 and seen.stream:
            self.figures["joined from several models"] += 1
        if record["chosen"] != record["served"]:
            self.figures["answered by a stand-in"] += 1
        tried = Counter(call.provider for call in calls)
        self.figures["retried on the same deployment"] += max(tried.values(), default=0) > 1
        through = [
            call
            for call in calls
            if call.path.endswith("/messages") and seen.api in ("chat", "responses", "completions")
        ]
        self.figures["whole answers through litellm"] += bool(through) and record["served"] == "claude"

    def _paid(self, seen: Seen, record: dict[str, Any], calls: list[Billed]) -> None:
        """The tokens of the record are those of some of the calls, each taken once."""
        paid = (record["prompt_tokens"] or 0, record["completion_tokens"] or 0)
        if seen.end in ("error", "unheard"):
            if paid != (0, 0):
                self.breaks("failed requests cost nothing", f"{seen.nonce} {paid}")
            return
        if seen.end == "left" and (paid == (0, 0) or not calls):  # the prompt of a call that did not begin is estimated
            self.figures["left before any token"] += 1
            return
        spent = [call for call in calls if call.answered]
        sums = {
            (sum(c.prompt for c in some), sum(c.tokens for c in some))
            for n in range(1, len(spent) + 1)
            for some in itertools.combinations(spent, n)
        }
        estimated = bool(record["usage_estimated"])
        most = (
            sum(2 * c.prompt for c in (calls if estimated else spent)),
            sum(2 * c.tokens for c in spent) + 10 * estimated,
        )
        bill = [(c.provider, c.prompt, c.tokens, c.fault, c.ended) for c in spent]
        if paid in sums:
            self.figures["tokens exactly as billed"] += 1
        elif paid[0] > most[0] or paid[1] > most[1]:
            self.breaks("no token is billed twice", f"{seen.api} {seen.nonce} {paid} of {bill}")
        elif estimated or seen.end == "left" or any("reset" in c.fault for c in spent):
            # A provider may say what it bills only at the end; and what it wrote last may never have arrived.
            self.figures["tokens estimated"] += 1
        else:
            self.breaks(
                "tokens are those that the providers billed", f"{seen.api} {seen.nonce} {seen.end} {paid} of {bill}"
            )

    def _floors(self) -> None:
        figures = self.figures
        expected = figures["answers expected"]
        if figures["answers given"] < WHOLE * expected:
            self.breaks(f"at least {WHOLE:.0%} of the answers are whole", f"{figures['answers given']} of {expected}")
        for what, share in LEAST.items():
            if figures[what] < share * expected:
                self.breaks(f"at least {share:.1%} of the requests are {what}", f"{figures[what]} of {expected}")
        for api in APIS:
            if not figures[f"whole answers by {api}"]:
                self.breaks("every API gives whole answers", api)
        for what in ("whole answers through litellm", "wrong keys refused", "failures told as 502 or 503"):
            if not figures[what]:
                self.breaks("the run shows every part of the gateway", f"no {what}")
        silent = {c.name for c in CHARACTERS} - {call.provider for call in self.billed}
        if silent:
            self.breaks("every provider is asked", json.dumps(sorted(silent)))
