"""Three replicas on one PostgreSQL and one Valkey server, each part killed or stopped at random under load.

    make soak-replicas MINUTES=10   or        .venv/bin/python -m scripts.soak.replicas --minutes 10 --seed 1

At the end what a provider billed, what clients saw and what the ledger has are laid side by side; a broken invariant gives exit
status 1. docs/reliability.md says what is promised.
"""

import asyncio
import itertools
import random
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import httpx
import psycopg
from rich.console import Console
from rich.table import Table

from scripts.soak import replica_checks as checks
from scripts.soak.replica_checks import Bill, Findings, LedgerRow, Seen
from scripts.soak.replica_parts import Part, Replica, Shared, Store, kill, servers, started, stop
from tests.gateway.upstreams import Call, ScriptedProvider, completion, reply

RATED, FREE = "rated", "free"  # keys
CALLED = "called"  # a key without limits, whose requests go to a model whose deployment has limits
RPM = 60
CALLS, PARALLEL = 90, 3  # of that deployment: calls per minute, and at once
BUDGETS_USD = {"early": 0.01, "middle": 0.04, "late": 0.12}
OVERSHOOT = 0.1
NUSD_PER_TOKEN = 1_000  # 1 USD for a million
MAX_TOKENS = 200
CLIENTS = {RATED: 2, FREE: 2, CALLED: 6, "early": 1, "middle": 2, "late": 2}
PAUSE_S = 0.15  # of a client between two requests, on average
SOON_S = 5.0  # of load after the last fault
SETTLED_S = 80.0  # the leases of killed gateways have ended by then


@dataclass
class Load:
    """The clients and the provider, and what they note."""

    replicas: list[Replica]
    random: random.Random
    seen: list[Seen] = field(default_factory=list)
    bills: list[Bill] = field(default_factory=list)
    open: list[tuple[float, float]] = field(default_factory=list)

    async def answer(self, call: Call, writer: asyncio.StreamWriter) -> Any:
        """The provider: bills a random number of tokens when the request arrives, and answers a little later."""
        name = call.body["messages"][0]["content"]
        tokens = self.random.randint(1, MAX_TOKENS)
        value = completion("fine", call.body["model"])
        value["usage"] = {"prompt_tokens": 10, "completion_tokens": tokens, "total_tokens": 10 + tokens}
        began, key = time.monotonic(), name.partition("-")[0]
        self.bills.append(Bill(name, key, began, (10 + tokens) * NUSD_PER_TOKEN))
        await asyncio.sleep(self.random.random() * 0.3)
        if key == CALLED:
            self.open.append((began, time.monotonic()))
        return await reply(200, value)(call, writer)

    async def client(self, key: str, number: int) -> None:
        """One client: a request at a time, each to another replica."""
        async with httpx.AsyncClient(timeout=30, headers={"authorization": f"Bearer {secret(key)}"}) as http:
            for i in itertools.count():
                await asyncio.sleep(self.random.random() * 2 * PAUSE_S)
                await self._request(http, key, f"{key}-{number}-{i}")

    async def _request(self, http: httpx.AsyncClient, key: str, name: str) -> None:
        replica = self.random.choice(self.replicas)
        body = {
            "model": "limited" if key == CALLED else "m",
            "messages": [{"role": "user", "content": name}],
            "max_tokens": MAX_TOKENS,
        }
        began, status = time.monotonic(), None
        try:
            url = f"{replica.url}/v1/chat/completions"
            status = (await http.post(url, json=body, headers={"x-request-id": name})).status_code
        except httpx.HTTPError:
            pass
        self.seen.append(Seen(name, key, replica.name, began, time.monotonic(), status))


def secret(key: str) -> str:
    """The gateway key of this name."""
    return f"sk-soak-replicas-{key}"


def portfolio(provider: str, store: str, shared: str) -> dict[str, Any]:
    """A model without limits and one whose deployment has some, and keys with and without limits."""
    deployment = {"model": "openai/m", "api_base": provider, "api_key": "sk-provider", "timeout": 4.0}
    limited = deployment | {"rpm": CALLS, "max_parallel_requests": PARALLEL}
    common = {"price": {"input": 1.0, "output": 1.0}, "embedding": "none", "context_window": 8192, "capabilities": []}
    models = [
        common | {"name": name, "deployments": [one], "stand_ins": "never"}
        for name, one in (("m", deployment), ("limited", limited))
    ]
    keys: list[dict[str, Any]] = [
        {"name": RATED, "key": secret(RATED), "rpm": RPM},
        {"name": FREE, "key": secret(FREE)},
        {"name": CALLED, "key": secret(CALLED)},
    ]
    for name, usd in BUDGETS_USD.items():
        keys.append(
            {"name": name, "key": secret(name), "budget": [{"usd": usd, "per": "ever", "overshoot": OVERSHOOT}]}
        )
    gateway = {"store": store, "shared": shared, "retries": 0, "breaker_failures": 1000}
    return {"models": models, "keys": keys, "gateway": gateway}


async def faults(parts: list[Part], rng: random.Random, console: Console, seconds: float) -> None:
    """One fault after another, for so long; each is mended before the next."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        await asyncio.sleep(2 + 3 * rng.random())
        part, killed, away_s = rng.choice(parts), rng.random() < 0.5, 0.3 + 3 * rng.random()
        console.print(f"{part.name} {'is killed' if killed else 'is stopped'}, for {away_s:.1f} s", highlight=False)
        await (kill(part, away_s) if killed else stop(part, away_s))


async def soak(minutes: float, seed: int, folder: Path, *, settled_s: float = SETTLED_S) -> Findings:
    """Runs it all, and says what was found."""
    console, rng = Console(), random.Random(seed)
    with servers(folder) as (store, shared):
        async with ScriptedProvider() as provider:
            file = portfolio(provider.base_url, store.url, shared.server.url)
            replicas = [Replica(f"replica-{number}", folder, file) for number in (1, 2, 3)]
            load = Load(replicas, rng)
            provider.default = load.answer
            async with started(replicas):
                await _run(load, [*replicas, store, shared], minutes * 60, console)
                await asyncio.sleep(settled_s)
                statuses = [await replica.end() for replica in replicas]
            rows = await asyncio.to_thread(ledger, store)
    return findings(load, rows, store, shared, statuses, settled=settled_s > 0)


async def _run(load: Load, parts: list[Part], seconds: float, console: Console) -> None:
    clients = [
        asyncio.create_task(load.client(key, number)) for key, count in CLIENTS.items() for number in range(count)
    ]
    try:
        await faults(parts, random.Random(load.random.random()), console, seconds)
        await asyncio.sleep(SOON_S)
    finally:
        for client in clients:
            client.cancel()
        ended = await asyncio.gather(*clients, return_exceptions=True)
    for result in ended:
        if not isinstance(result, asyncio.CancelledError):
            raise click.ClickException(f"a client failed: {result!r}")


def ledger(store: Store) -> list[LedgerRow]:
    """All rows of the ledger."""
    with psycopg.connect(store.url) as connection:
        rows = list(connection.execute("SELECT request_id, key_id, key_name, coalesce(nusd, 0) FROM ledger"))
    names = {key_id: name for _, key_id, name, _ in rows if name}  # what was booked for a process has no name
    return [LedgerRow(request, names.get(key_id, ""), int(nusd)) for request, key_id, _, nusd in rows]


def findings(
    load: Load, rows: list[LedgerRow], store: Store, shared: Shared, statuses: list[int], *, settled: bool
) -> Findings:
    """All checks."""
    found = Findings()
    found.figures["requests"] = len(load.seen)
    for status in sorted({one.status for one in load.seen}, key=str):
        found.figures[f"  {status or 'cut off or refused by a dead gateway'}"] = sum(
            s.status == status for s in load.seen
        )
    for replica in load.replicas:
        found.figures[f"{replica.name}: killed, stopped"] = f"{len(replica.killed)}, {len(replica.stopped)}"
    found.figures["valkey: killed, stopped"] = f"{len(shared.killed)}, {len(shared.away) - len(shared.killed)}"
    ceilings = {key: round(usd * (1 + OVERSHOOT) * 1e9) for key, usd in BUDGETS_USD.items()}
    checks.check_budgets(found, ceilings, load.bills, load.seen)
    checks.check_rate(found, RATED, RPM, load.bills, shared.killed, CLIENTS[RATED])
    checks.check_rate(found, CALLED, CALLS, load.bills, shared.killed, CLIENTS[CALLED])
    checks.check_parallel(found, PARALLEL, load.open, shared.away, len(load.replicas))
    checks.check_hangs(found, load.seen, load.replicas)
    away = [(began, ended + checks.AGAIN_S) for began, ended in store.away]
    checks.check_ledger(found, load.seen, rows, load.replicas, away)
    if settled:
        checks.check_booked(found, list(BUDGETS_USD), load.bills, rows)
    if any(statuses):
        found.broken.append(f"SIGTERM: exit status {statuses}")
    return found


@click.command()
@click.option("--minutes", default=10.0, show_default=True, type=click.FloatRange(min=0.2))
@click.option("--seed", default=1, show_default=True)
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), help="Keep the logs here.")
def main(minutes: float, seed: int, folder: Path | None) -> None:
    """Kill and stop replicas and their stores at random under load, and check limits and ledger."""
    with tempfile.TemporaryDirectory() as temporary:
        where = folder or Path(temporary)
        where.mkdir(parents=True, exist_ok=True)
        found = asyncio.run(soak(minutes, seed, where))
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in found.figures.items():
        table.add_row(name, f"{value:,}" if isinstance(value, int) else str(value))
    console = Console()
    console.print(table)
    for line in found.broken:
        console.print(f"[red]BROKEN[/] {line}", highlight=False)
    sys.exit(bool(found.broken))


if __name__ == "__main__":
    main()
