"""A panel whose members fail: it makes no more calls than it may, answers if one member can, and holds nothing afterwards."""

import pytest

from tests.faults.clients import CALM, forgive, in_flight, read, short, until
from tests.faults.conftest import Serve
from tests.faults.provider import Persona, numbered, refuses
from tests.faults.test_before_content import FAULTS
from tests.gateway.ensemble.panel import PEERS, chat
from tests.gateway.upstreams import Call, Reply, ScriptedProvider, error

pytestmark = pytest.mark.anyio
MOST = 4
QUICK = {fault.name: fault.reply for fault in FAULTS if fault.name in ("500", "401", "HTML", "role and [DONE]")}
OTHERS: dict[str, Reply] = {
    "429": error(429, headers={"retry-after": "0"}),
    "refused field": refuses("temperature"),
    "unknown path": error(404),
    "broken stream": Persona(numbered(20), cut_after=5),
    "broken stream, begun afresh": Persona(numbered(20), cut_after=5, asked="afresh", prefill=400),
}


@pytest.mark.parametrize("fault", [*QUICK.values(), *OTHERS.values()], ids=[*QUICK, *OTHERS])
async def test_the_cap_holds_and_nothing_is_left(serve: Serve, fault: Reply) -> None:
    failing: tuple[str, ...] = ()

    async def reply(call: Call, writer: object) -> object:
        fails = call.body["model"].removeprefix("up-") in failing
        return await (fault if fails else Persona("B"))(call, writer)  # type: ignore[arg-type]

    policies = {"panel": {"cost_weight": 0, "ensemble": {"max_calls": MOST}}}
    async with ScriptedProvider(reply) as up:
        models = [short(name, up.base_url, up.base_url, embedding=PEERS[name]) for name in PEERS]
        async with serve(models, policies=policies, default_policy="panel", gateway=CALM) as run:
            for names in (("mixtral",), tuple(PEERS)):
                failing = names
                for stream in (False, True):
                    up.calls.clear()
                    forgive(run)
                    body = chat(stream=stream, temperature=0.5)
                    got = read(await run.http.post("/v1/chat/completions", json=body))
                    assert 2 <= len(up.calls) <= MOST
                    if len(names) == 1:
                        got.complete("B" if got.models != ["mixtral"] else got.text, streaming=stream)
                    await until(lambda: in_flight(run) == 0)
