"""The simulated provider over HTTP."""

import httpx
import pytest

from gateway.demo.provider import FINGERPRINT, SimulatedProvider
from gateway.demo.skills import MODELS

pytestmark = pytest.mark.anyio
ASK = {"model": "sim-tiny", "messages": [{"role": "user", "content": "Who are you?"}]}


async def test_answers_streams_and_errors() -> None:
    async with (
        SimulatedProvider(pause_s=0) as provider,
        httpx.AsyncClient(base_url=provider.base_urls["sim-tiny"], timeout=60) as http,
    ):
        assert provider.running == {model.name for model in MODELS}
        whole = (await http.post("/chat/completions", json=ASK)).json()
        text = whole["choices"][0]["message"]["content"]
        assert "simulated model" in text
        assert (whole["system_fingerprint"], whole["simulated"]) == (FINGERPRINT, True)
        stream = (await http.post("/chat/completions", json=ASK | {"stream": True})).text
        assert stream.endswith("data: [DONE]\n\n")
        assert stream.count("data: ") == len(text.split(" ")) + 3  # role, words, finish reason, end
        image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}]
        refused = await http.post("/chat/completions", json=ASK | {"messages": image})
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "unsupported")
        other = await http.post("/chat/completions", json=ASK | {"model": "x"})
        assert (other.status_code, other.json()["error"]["code"]) == (404, "model_not_found")


async def test_a_stopped_model_refuses_connections_and_keeps_its_port() -> None:
    async with (
        SimulatedProvider(pause_s=0) as provider,
        httpx.AsyncClient(base_url=provider.base_urls["sim-tiny"], timeout=60) as http,
    ):
        await provider.stop("sim-tiny")
        assert "sim-tiny" not in provider.running
        with pytest.raises(httpx.ConnectError):
            await http.get("/models")
        await provider.start("sim-tiny")
        assert (await http.get("/models")).json()["data"][0]["id"] == "sim-tiny"
        with pytest.raises(KeyError):
            await provider.stop("no-such-model")
