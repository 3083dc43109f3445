"""LiteLLM's proxy as a process of its own."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.ports import free_port

KEY = "sk-proxy"
START_S = 300.0


@contextmanager
def litellm_proxy(programs: Path, folder: Path, models: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Runs the proxy until the block ends; gives its URL with `/v1`.

    Args:
        programs: of the environment that it is installed in.
        models: LiteLLM's parameters for each name that the proxy shall serve.
    """
    config = folder / "proxy.yaml"
    model_list = [{"model_name": name, "litellm_params": parameters} for name, parameters in models.items()]
    config.write_text(yaml.safe_dump({"model_list": model_list, "general_settings": {"master_key": KEY}}))
    port = free_port()
    quiet = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False", "NO_COLOR": "1"}
    command = [programs / "litellm", "--config", config, "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "proxy.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=os.environ | quiet, stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait(process, f"http://127.0.0.1:{port}/health/liveliness", folder / "proxy.log")
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < until:
        try:
            if httpx.get(url).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(f"the proxy did not start: {log.read_text()[-2000:]}")
