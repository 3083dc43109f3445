"""The Grafana dashboard and the Prometheus alerts: they name only metrics and labels that a gateway has, in valid PromQL."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from gateway.record.metric_tables import COUNTERS, HISTOGRAMS
from tests.deploy.tools import DEPLOY, run
from tests.gateway.running import entry, gateway
from tests.gateway.telemetry.collector import collecting, otel
from tests.gateway.upstreams import ScriptedProvider, error

DASHBOARD = DEPLOY / "grafana" / "locus.json"
ALERTS = DEPLOY / "prometheus" / "alerts.yml"
_NAME = re.compile(r"\b(?:locus|gen_ai)_[a-z_]+(?=\[|\{|\)|\s|$)")
_LABELS = re.compile(r"by \(([^)]*)\)|(\w+)(?:=~|!=|!~|=)\"")
_GROUPING = re.compile(r"by \([^)]*\)")
_SUFFIXES = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "gauge": [""]}


needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="needs promtool, which Debian's package prometheus installs"
)


def dashboard_expressions() -> Iterator[str]:
    for panel in orjson.loads(DASHBOARD.read_bytes())["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"].replace("$__rate_interval", "5m").replace("$model", ".*")


def alert_expressions() -> Iterator[str]:
    for group in yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]:
        for rule in group["rules"]:
            yield rule["expr"]


EXPRESSIONS = [*dashboard_expressions(), *alert_expressions()]


@pytest.mark.anyio
async def test_every_metric_exists_at_a_gateway_that_has_had_traffic(tmp_path: Path) -> None:
    async with collecting() as collector, ScriptedProvider() as up:
        up.replies.append(error(400))
        async with gateway(tmp_path, [entry("llama-8b", up.base_url)], **otel(collector)) as gate:
            for stream in (False, False, True):
                body = {"model": "llama-8b", "messages": [{"role": "user", "content": "Hi"}], "stream": stream}
                await gate.http.post("/v1/chat/completions", json=body)
            text = (await gate.http.get("/metrics")).text
    families = list(text_string_to_metric_families(text))
    known = {f"{family.name}{suffix}" for family in families for suffix in _SUFFIXES.get(family.type, [])}
    for expression in EXPRESSIONS:
        names = _NAME.findall(_GROUPING.sub("", expression))
        assert names, expression
        assert set(names) <= known, expression


def test_every_label_exists() -> None:
    tables: list[Any] = [*COUNTERS.values(), *HISTOGRAMS.values()]
    known = {label for table in tables for label in table[1]} | {"le", "deployment", "model"}
    for expression in EXPRESSIONS:
        for grouped, matched in _LABELS.findall(expression):
            assert {label.strip() for label in (grouped or matched).split(",")} <= known, expression


def test_the_panels_do_not_overlap_and_have_their_own_ids() -> None:
    panels = orjson.loads(DASHBOARD.read_bytes())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = set()
    for at in (panel["gridPos"] for panel in panels):
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells


@needs_promtool
def test_prometheus_accepts_the_alerts() -> None:
    done = run("promtool", "check", "rules", ALERTS)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_prometheus_accepts_the_expressions_of_the_dashboard(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{i}", "expr": expression} for i, expression in enumerate(dashboard_expressions())]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = run("promtool", "check", "rules", file)
    assert done.returncode == 0, done.stdout + done.stderr
