"""Which base URLs are refused, and with what to write."""

import pytest

from gateway.config.addresses import AddressError, check_address
from gateway.upstream.reachability import connection_error


@pytest.mark.parametrize(
    ("address", "provider"),
    [
        ("http://127.0.0.1:8000/v1", "openai"),
        ("https://api.groq.com/openai/v1/", "groq"),
        ("HTTP://[::1]:8000", "hosted_vllm"),
        ("https://proxy.example/team-a", "anthropic"),
        ("https://proxy.example/messages-api/v1", "anthropic"),
        ("http://gpu:11434", "ollama"),
        ("https://my-host_1.internal/a/b%20c/v1", "openai"),
        ("https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21", "azure"),
    ],
)
def test_what_can_work_is_taken(address: str, provider: str) -> None:
    check_address(address, provider)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("127.0.0.1:8000/v1", "begins with http:// or https://"),
        ("localhost:8000", "begins with http:// or https://"),
        ("//127.0.0.1/v1", "begins with http:// or https://"),
        ("http:/127.0.0.1/v1", "begins with http:// or https://"),
        ("ftp://127.0.0.1/v1", "begins with http:// or https://"),
        ("file:///etc/passwd", "begins with http:// or https://"),
        ("${BASE}/v1", "write os.environ/NAME"),
        ("$BASE", "write os.environ/NAME"),
        ("http://$(hostname)/v1", "write os.environ/NAME"),
        ("http://{{ .Values.host }}/v1", "write os.environ/NAME"),
        ("%BASE%", "write os.environ/NAME"),
        ("<your address>", "write os.environ/NAME"),
        ("http://os.environ/HOST/v1", "must be the whole value"),
        (" http://127.0.0.1/v1", "space or a control character"),
        ("http://127.0.0.1/v1\n", "space or a control character"),
        ("http://my host/v1", "space or a control character"),
        ("http://", "host or the port is not valid"),
        ("http:///v1", "host or the port is not valid"),
        ("http://:8000/v1", "host or the port is not valid"),
        ("http://host:port/v1", "host or the port is not valid"),
        ("http://host:99999/v1", "host or the port is not valid"),
        ("http://host:0/v1", "host or the port is not valid"),
        ("http://[::1/v1", "host or the port is not valid"),
        ("http://https://host/v1", "host or the port is not valid"),
        ("http://host\\v1", "host or the port is not valid"),
        ("http://host/v1#top", "fragment"),
        ("http://host/v1?key=x", "query"),
        ("http://host/v1?", "query"),
        ("http://host/v1/chat/completions", "ends with /chat/completions, which the gateway appends itself: leave that out"),
        ("http://host/v1/chat/completions/", "ends with /chat/completions"),
        ("http://host/v1/completions", "ends with /completions"),
        ("http://host/v1/responses", "ends with /responses"),
        ("http://host/v1/messages", "ends with /messages"),
        ("http://host/v1/embeddings", "ends with /embeddings"),
    ],
)  # fmt: skip
def test_what_no_call_can_reach_is_refused(address: str, told: str) -> None:
    with pytest.raises(AddressError) as caught:
        check_address(address, "openai")
    assert told.replace(": leave", "; leave") in str(caught.value)


@pytest.mark.parametrize(
    "address", ["http://gpu:11434/api", "http://gpu:11434/api/chat", "http://gpu:11434/api/generate"]
)
def test_ollamas_own_api_is_not_what_is_called(address: str) -> None:
    with pytest.raises(AddressError, match="ends with /api"):
        check_address(address, "ollama_chat")


@pytest.mark.parametrize("host", ["h..example", "a" * 64 + ".example"])
@pytest.mark.anyio
async def test_a_host_that_no_name_system_knows_is_a_problem_and_no_crash(host: str) -> None:
    with pytest.raises(AddressError, match="host or the port is not valid"):
        check_address(f"http://{host}/v1", "openai")
    assert await connection_error((host, 80)) == "unknown host name"
