"""A gateway whose models are peers, each with an answer that a test sets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.gateway.running import Gateway, entry, gateway
from tests.gateway.upstreams import Call, Reply, ScriptedProvider, answer

# For QUESTION the shipped space predicts P(correct) 0.825, 0.822, 0.820, 0.807 and 0.752, in this order.
PEERS = {
    "mixtral": "mistralai/Mixtral-8x7B-Instruct-v0.1",
    "phi": "microsoft/Phi-3.5-mini-instruct",
    "qwen": "Qwen/Qwen2-7B-Instruct",
    "yi": "01-ai/Yi-34B",
    "command": "CohereForAI/c4ai-command-r-v01",
}
QUESTION = "Which planet is the largest? (A) Mars (B) Jupiter (C) Venus (D) Mercury. Answer with the letter."

# Without options; P(correct) of mixtral, qwen and phi is 0.72, 0.70 and 0.69, and that of command 0.61.
PROSE_QUESTION = "A particle moves in a potential; derive its equation of motion from the Lagrangian."
PROSE_PEERS = ("mixtral", "qwen", "phi", "command")


class Peers:
    """The providers of the models.

    Attributes:
        provider: all of them, on one port.
        says: what each model answers: a text, or a reply that does anything.
    """

    def __init__(self, provider: ScriptedProvider) -> None:
        self.provider = provider
        self.says: dict[str, str | Reply] = {}
        provider.default = self._reply

    async def _reply(self, call: Call, writer: Any) -> Any:
        said = self.says.get(self.model(call), "B")
        return await (answer(said) if isinstance(said, str) else said)(call, writer)

    @staticmethod
    def model(call: Call) -> str:
        """The portfolio's name of the model that was called."""
        name: str = call.body["model"]
        return name.removeprefix("up-")

    @property
    def asked(self) -> list[str]:
        """The models that were called, in order."""
        return [self.model(call) for call in self.provider.calls]


@asynccontextmanager
async def peers(
    folder: Path,
    ensemble: Any = True,
    models: tuple[str, ...] = ("mixtral", "phi", "qwen", "yi"),
    dear: str | None = None,
    patience_s: float = 10.0,
    **more: Any,
) -> AsyncIterator[tuple[Gateway, Peers]]:
    """A gateway whose policy `panel` has this ensemble; one model may cost more than the others.

    Args:
        patience_s: in which a model must begin to answer, or another one is asked beside it.
    """
    policies = {"panel": {"cost_weight": 0, "ensemble": ensemble}, "balanced": {"quality": 5}}
    settings = {"policies": policies, "default_policy": "balanced", **more}
    async with ScriptedProvider() as up:
        entries = [
            entry(
                name,
                up.base_url,
                embedding=PEERS[name],
                capabilities=["tools", "json_schema"],
                price={"input": 9.0, "output": 9.0} if name == dear else {"input": 1.0, "output": 1.0},
            )
            for name in models
        ]
        for one in entries:
            one["deployments"][0]["first_token_timeout"] = patience_s
        async with gateway(folder, entries, **settings) as run:
            yield run, Peers(up)


def chat(content: str = QUESTION, **more: Any) -> Any:
    """A request to the policy `panel`."""
    return {"model": "auto:panel", "messages": [{"role": "user", "content": content}], **more}
