"""The export's options: settings of the file, and OpenTelemetry's environment variables as their defaults."""

import pytest

from gateway.config.settings import Otel
from gateway.telemetry.options import Options, export_options

BASE = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318/"}


def options(otel: Otel | None = None, **environment: str) -> Options:
    found = export_options(otel, environment)
    assert found is not None
    return found


def test_the_export_is_off_by_default() -> None:
    assert export_options(None, {}) is None
    assert export_options(Otel(), {}) is None


@pytest.mark.parametrize(
    "more",
    [
        {"OTEL_SDK_DISABLED": "true"},
        {"OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"},
    ],
)
def test_the_environment_turns_it_off(more: dict[str, str]) -> None:
    assert export_options(None, BASE | more) is None


def test_addresses() -> None:
    assert options(**BASE).url == "http://collector:4318/v1/traces"
    assert options(**BASE, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="http://other/x").url == "http://other/x"
    assert options(Otel(endpoint="http://mine:1"), **BASE).url == "http://mine:1/v1/traces"
    assert options(Otel(endpoint="http://mine:1/v1/traces")).url == "http://mine:1/v1/traces"


def test_headers_and_resource() -> None:
    found = options(
        **BASE,
        OTEL_EXPORTER_OTLP_HEADERS="api-key=a%20b,x=1",
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=prod,service.name=unused",
        OTEL_SERVICE_NAME="llm",
    )
    assert found.headers == {"api-key": "a b", "x": "1"}
    assert found.resource == {"service.name": "llm", "deployment.environment.name": "prod"}
    assert "a b" not in repr(found)
    assert options(**BASE).resource == {"service.name": "locus-gateway"}


@pytest.mark.parametrize(
    ("name", "argument", "sample", "parent_based"),
    [
        ("", "", 1.0, True),
        ("always_off", "", 0.0, False),
        ("traceidratio", "0.25", 0.25, False),
        ("parentbased_traceidratio", "0.1", 0.1, True),
        ("parentbased_traceidratio", "2", 1.0, True),
        ("parentbased_traceidratio", "x", 1.0, True),
        ("parentbased_always_off", "", 0.0, True),
        ("jaeger_remote", "", 1.0, True),
    ],
)
def test_samplers(name: str, argument: str, sample: float, parent_based: bool) -> None:
    found = options(**BASE, OTEL_TRACES_SAMPLER=name, OTEL_TRACES_SAMPLER_ARG=argument)
    assert (found.sample, found.parent_based) == (sample, parent_based)
    assert options(Otel(sample=0.5), **BASE, OTEL_TRACES_SAMPLER=name).sample == 0.5


def test_values_that_cannot_be_read_are_named_without_their_text(caplog: pytest.LogCaptureFixture) -> None:
    found = options(
        **BASE,
        OTEL_EXPORTER_OTLP_HEADERS="secret-without-name",
        OTEL_EXPORTER_OTLP_TIMEOUT="soon",
        OTEL_BSP_SCHEDULE_DELAY="250",
    )
    assert (found.headers, found.timeout_s, found.delay_s) == ({}, 10.0, 0.25)
    assert "OTEL_EXPORTER_OTLP_HEADERS" in caplog.text
    assert "OTEL_EXPORTER_OTLP_TIMEOUT" in caplog.text
    assert "secret" not in caplog.text
