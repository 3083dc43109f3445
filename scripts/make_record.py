"""A record of many plausible requests, with ledger and sums, to measure pages and commands at its size.

    .venv/bin/python -m scripts.make_record --db /tmp/large.db --requests 1000000
    .venv/bin/python -m scripts.make_record --url postgresql://user@127.0.0.1/locus --requests 1000000

The recorder's own functions make and write the rows. A seed gives the same requests again, counted back from now.
"""

import argparse
import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import orjson
from numpy.typing import NDArray

from gateway.config.database_location import DatabaseLocation
from gateway.record.finished import Finished
from gateway.record.needs import Needs
from gateway.record.predictions import Predictions
from gateway.record.request_record import Part, Record
from gateway.record.rows import rows_of, write
from gateway.store.database import Database

BATCH = 5_000
DAY_S = 86_400.0
# Name, USD per million tokens in and out, P(correct) in the mean, seconds per answer, and how often it is chosen.
MODELS = (
    *(("llama-8b", 0.05, 0.08, 0.55, 0.9, 30), ("llama-70b", 0.6, 0.8, 0.74, 2.1, 22)),
    *(("mistral-7b", 0.04, 0.06, 0.48, 0.7, 14), ("qwen-32b", 0.3, 0.5, 0.71, 1.6, 12)),
    *(("gpt-mini", 0.25, 2.0, 0.78, 2.8, 10), ("claude-small", 1.0, 5.0, 0.8, 3.0, 7)),
    *(("gpt-large", 2.5, 15.0, 0.88, 6.0, 4), ("claude-large", 5.0, 25.0, 0.9, 7.5, 1)),
)
POLICIES, POLICY_SHARES = ("balanced", "cheap", "best"), (0.7, 0.2, 0.1)
KEYS = 24
CAUSES = ("timeout", "rate_limited", "overloaded", "server_error", "connection")
WORDS = (
    *("sort", "the", "list", "of", "open", "invoices", "by", "country", "and", "explain", "why"),
    *("seventh", "sum", "differs", "from", "report", "May"),
)


class Traffic:
    """Makes requests.

    Args:
        end: time of the last one, seconds since the epoch.
    """

    def __init__(self, requests: int, days: float, end: float, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._requests, self._days, self._end = requests, days, end
        shares = np.array([model[5] for model in MODELS], float)
        self._shares = shares / shares.sum()
        self._names = tuple(model[0] for model in MODELS)
        self._known = np.ones(len(MODELS), np.bool_)
        self._keys = (self._rng.zipf(1.4, requests) - 1) % KEYS

    def batches(self) -> Iterator[list[Finished]]:
        """All requests, in the order of their ends."""
        at = np.sort(self._rng.random(self._requests)) * self._days * DAY_S
        at = (
            self._end - self._days * DAY_S + at + 6 * 3600 * np.sin(at / DAY_S * 2 * np.pi) / 2 / np.pi
        )  # day and night
        for begin in range(0, self._requests, BATCH):
            yield [self._request(i, float(at[i])) for i in range(begin, min(begin + BATCH, self._requests))]

    def _request(self, number: int, at: float) -> Finished:
        rng = self._rng
        chosen = int(rng.choice(len(MODELS), p=self._shares))
        failed, error = rng.random() < 0.03, rng.random() < 0.008
        served = int(rng.integers(len(MODELS))) if failed and rng.random() < 0.6 else chosen
        tokens_in, tokens_out = int(rng.lognormal(6.3, 1.0)), int(rng.lognormal(5.0, 0.9))
        p = np.clip([model[3] + rng.normal(0, 0.08) for model in MODELS], 0.02, 0.98).astype(np.float32)
        usd = np.array([(model[1] * tokens_in + model[2] * 400) / 1e6 for model in MODELS])
        name, latency_ms = self._names[served], float(rng.lognormal(np.log(MODELS[served][4] * 1000), 0.6))
        nusd = round(1000 * (MODELS[served][1] * tokens_in + MODELS[served][2] * tokens_out))
        parts = () if error else (Part(name, f"{name}/0", tokens_in, tokens_out, nusd, False),)
        named = rng.random() < 0.15
        policy = None if named else str(rng.choice(POLICIES, p=POLICY_SHARES))
        key = int(self._keys[number])
        own = 25.0
        record = Record(
            request_id=f"req_{number:032x}",
            time=at,
            requested=self._names[chosen] if named else f"auto:{policy}",
            policy=policy,
            chosen=self._names[chosen],
            served=None if error else name,
            deployment=None if error else f"{name}/0",
            p_correct=None if named else float(p[served]),
            stand_in_distance=None if served == chosen else 0.31,
            predicted_loss=None if served == chosen else float(p[chosen] - p[served]),
            candidates=None if named else self._candidates(p, usd),
            failover=self._failover(chosen) if failed or error else None,
            parts=None,
            stream=number % 3 == 0,
            status=503 if error else 200,
            error="upstreams_failed" if error else None,
            prompt_tokens=None if error else tokens_in,
            completion_tokens=None if error else tokens_out,
            usage_estimated=False,
            cost_nusd=None if error else nusd,
            latency_ms=latency_ms,
            first_token_ms=None if error else latency_ms / 4,
            overhead_ms=None if error else 1.4,
            prompt=self._prompt(number) if number % 2 else None,
            conversation=("kept", "switched")[number % 40 == 0] if number % 4 == 0 else None,
            key_id=f"file:app-{key}",
            key_name=f"app-{key}",
            team=f"team-{key % 5}",
            propensity=None if named else 1.0,
            checkpoint=None if named else "0123456789ab",
            call_began_ms=None if error else own,
        )
        predicted = Predictions(self._names, p, usd, self._known, self._known, None, 0, Needs(prompt_tokens=tokens_in))
        return Finished(record, parts, None if named else predicted)

    def _candidates(self, p: NDArray[np.float32], usd: NDArray[np.float64]) -> str:
        rows = zip(self._names, p.tolist(), usd.tolist(), strict=True)
        return orjson.dumps(
            [{"model": name, "p_correct": round(q, 4), "price_usd": cost} for name, q, cost in rows]
        ).decode()

    def _failover(self, chosen: int) -> str:
        name, cause = self._names[chosen], CAUSES[int(self._rng.integers(len(CAUSES)))]
        attempt = {"model": name, "deployment": f"{name}/0", "cause": cause, "status": None, "began_ms": 1.2}
        attempt |= {"elapsed_ms": 22.0, "rule": None, "distance": None, "predicted_loss": None, "after_content": False}
        return orjson.dumps([attempt | {"reason": f"the provider says: {cause}", "called": True}]).decode()

    def _prompt(self, number: int) -> str:
        words = [WORDS[(number * 7 + i * i) % len(WORDS)] for i in range(30 + number % 50)]
        return orjson.dumps([{"role": "user", "content": f"Case {number}: {' '.join(words)}?"}]).decode()


async def make_record(
    location: DatabaseLocation, requests: int, days: float = 30.0, end: float | None = None, seed: int = 0
) -> None:
    """Writes so many requests to a database."""
    database = Database(location)
    try:
        for batch in Traffic(requests, days, time.time() if end is None else end, seed).batches():
            rows = rows_of(batch, requests=True)
            async with database.begin() as connection:
                await write(connection, rows)
    finally:
        await database.close()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--db", type=Path, help="SQLite file")
    where.add_argument("--url", help="PostgreSQL database")
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--days", type=float, default=30.0)
    arguments = parser.parse_args()
    location = DatabaseLocation(arguments.db) if arguments.db else DatabaseLocation.from_url(arguments.url)
    began = time.monotonic()
    asyncio.run(make_record(location, arguments.requests, arguments.days))
    print(f"{arguments.requests:,} requests in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
