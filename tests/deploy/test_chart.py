"""The Helm chart: it renders to valid objects for several clusters and values, and refuses values that cannot work."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.config.portfolio_file import load_portfolio
from tests.deploy.tools import DEPLOY, run

CHART = DEPLOY / "helm" / "locus-gateway"
VALUES = sorted((CHART / "ci").glob("*.yaml"))
KUBERNETES = ("1.33", "1.34", "1.35", "1.36", "1.37")
OF_OPERATORS = {"ServiceMonitor"}  # no kind of Kubernetes itself
SECRETS = dict.fromkeys(("LOCUS_KEY", "LOCUS_ADMIN_KEY", "OPENAI_API_KEY"), "k") | {
    "LOCUS_ADMIN_KEY": "a",
    "LOCUS_STORE": "postgresql://locus@postgres/locus",
    "LOCUS_SHARED": "valkey://valkey:6379/0",
}


def rendered(values: Path | None = None, **more: Any) -> list[dict[str, Any]]:
    """The objects of the chart. `more` are values as JSON, by their path."""
    sets = [f"--set-json={path.replace('__', '.')}={json.dumps(value)}" for path, value in more.items()]
    done = run("helm", "template", "r", CHART, *([] if values is None else ["--values", values]), *sets)
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def of_kind(objects: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    """The only object of a kind that is no hook."""
    (found,) = [
        one for one in objects if one["kind"] == kind and "helm.sh/hook" not in one["metadata"].get("annotations", {})
    ]
    return found


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_helm_finds_no_fault(values: Path) -> None:
    done = run("helm", "lint", "--strict", CHART, "--values", values)
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the objects for all values."""
    path = tmp_path_factory.mktemp("chart") / "objects.yaml"
    found = [one for values in VALUES for one in rendered(values) if one["kind"] not in OF_OPERATORS]
    path.write_text(yaml.safe_dump_all(found), encoding="utf-8")
    return path


@pytest.mark.parametrize("version", KUBERNETES)
def test_objects_are_valid(objects: Path, version: str) -> None:
    done = run("kubernetes-validate", "--strict", "-k", version, objects)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_the_portfolio_is_valid(values: Path, tmp_path: Path) -> None:
    text = of_kind(rendered(values), "ConfigMap")["data"]["portfolio.yaml"]
    path = tmp_path / "portfolio.yaml"
    path.write_text(text, encoding="utf-8")
    load_portfolio(path, SECRETS)


def test_pods_are_restricted() -> None:
    pods = [one["spec"]["template"]["spec"] for one in rendered() if one["kind"] in ("Deployment", "Job")]
    assert len(pods) == 2
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_a_changed_portfolio_starts_new_pods() -> None:
    def checksum(**more: Any) -> str:
        annotations = of_kind(rendered(**more), "Deployment")["spec"]["template"]["metadata"]["annotations"]
        return str(annotations["checksum/portfolio"])

    assert checksum() == checksum(replicaCount=3)
    assert checksum() != checksum(portfolio__gateway__retries=1)


def test_the_pod_outlives_its_requests_and_listens_where_the_portfolio_says() -> None:
    pod = of_kind(rendered(CHART / "ci" / "single-values.yaml"), "Deployment")["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == 90 + 15
    assert pod["containers"][0]["ports"] == [{"name": "http", "containerPort": 8080}]
    assert pod["containers"][0]["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}


def test_the_migration_runs_before_the_pods_with_the_portfolio_of_the_release() -> None:
    objects = rendered()
    hooks = [one for one in objects if "helm.sh/hook" in one["metadata"].get("annotations", {})]
    assert [(one["kind"], one["metadata"]["annotations"]["helm.sh/hook-weight"]) for one in hooks] == [
        ("ConfigMap", "-1"),
        ("Job", "0"),
    ]
    assert {one["metadata"]["annotations"]["helm.sh/hook"] for one in hooks} == {"pre-install,pre-upgrade"}
    assert hooks[0]["data"] == of_kind(objects, "ConfigMap")["data"]
    assert hooks[1]["spec"]["template"]["spec"]["containers"][0]["command"][:2] == ["locus", "migrate"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"portfolio.gateway.shared": None}, "several replicas need portfolio.gateway.shared"),
        ({"portfolio.gateway.store": None}, "migration.enabled needs portfolio.gateway.store"),
        ({"portfolio.gateway.keys": []}, "must name a key"),
        ({"portfolio.gateway.keys": ["sk-plain"]}, "/portfolio/gateway/keys/0"),
        ({"replicaCount": 0}, "/replicaCount"),
        ({"replicas": 3}, "replicas"),
        ({"portfolio.models": []}, "/portfolio/models"),
    ],
)
def test_values_that_cannot_work_are_refused(values: dict[str, Any], words: str) -> None:
    sets = [f"--set-json={path}={json.dumps(value)}" for path, value in values.items()]
    done = run("helm", "template", "r", CHART, *sets)
    assert done.returncode != 0
    assert words in done.stderr


def test_a_gateway_that_shares_nothing_stops_before_its_successor_starts() -> None:
    """Else the new pod would be refused as a second gateway of the store, and the old one would never be stopped."""
    alone = rendered(replicaCount=1, podDisruptionBudget__enabled=False, portfolio__gateway__shared=None)
    assert of_kind(alone, "Deployment")["spec"]["strategy"] == {"type": "Recreate"}
    assert of_kind(rendered(), "Deployment")["spec"]["strategy"]["type"] == "RollingUpdate"


def test_independent_replicas_need_no_valkey() -> None:
    rendered(portfolio__gateway__shared=None, portfolio__gateway__replicas="independent")
