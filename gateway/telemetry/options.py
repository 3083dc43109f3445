"""Where spans go and which are exported: the settings `gateway.otel`, with OpenTelemetry's environment variables as defaults."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from gateway.config.settings import Otel

log = logging.getLogger("locus.telemetry")

PATH = "/v1/traces"
SERVICE_NAME = "locus-gateway"
TIMEOUT_S = 10.0
DELAY_S = 5.0
_SAMPLERS = {  # name -> the share without an argument, and whether the client's decision comes first
    "always_on": (1.0, False),
    "always_off": (0.0, False),
    "traceidratio": (1.0, False),
    "parentbased_always_on": (1.0, True),
    "parentbased_always_off": (0.0, True),
    "parentbased_traceidratio": (1.0, True),
}


@dataclass(frozen=True, slots=True)
class Options:
    """The export in force.

    Attributes:
        url: complete, with the path.
        headers: of every export.
        sample: share of the requests that are exported.
        parent_based: a client's decision to sample or not comes before `sample`.
        content: spans have messages.
        propagate: calls to providers carry the trace context.
        resource: attributes of this service.
        timeout_s: longest time of one export.
        delay_s: between two exports.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    sample: float = 1.0
    parent_based: bool = True
    content: bool = False
    propagate: bool = False
    resource: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = TIMEOUT_S
    delay_s: float = DELAY_S


def export_options(otel: Otel | None, environment: Mapping[str, str]) -> Options | None:
    """The export; None if it is off, since neither the settings nor the environment have an address."""
    variables = _Variables(environment)
    url = variables.url() if otel is None or otel.endpoint is None else _with_path(otel.endpoint)
    if url is None or variables.disabled:
        return None
    ratio, parent_based = variables.sampler()
    headers = {name: value.reveal() for name, value in otel.headers.items()} if otel is not None else {}
    return Options(
        url=url,
        headers=headers or variables.headers(),
        sample=ratio if otel is None or otel.sample is None else otel.sample,
        parent_based=parent_based,
        content=otel is not None and otel.content == "spans",
        propagate=otel is not None and otel.propagate,
        resource=variables.resource(),
        timeout_s=variables.milliseconds("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT", TIMEOUT_S),
        delay_s=variables.milliseconds("OTEL_BSP_SCHEDULE_DELAY", "", DELAY_S),
    )


class _Variables:
    """OpenTelemetry's environment variables. A value that cannot be read is logged, and the default is used."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    @property
    def disabled(self) -> bool:
        return self._get("OTEL_SDK_DISABLED").lower() == "true" or self._get("OTEL_TRACES_EXPORTER") == "none"

    def url(self) -> str | None:
        name = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
        if not (url := self._get(name)):
            name = "OTEL_EXPORTER_OTLP_ENDPOINT"
            base = self._get(name)
            url = base and f"{base.rstrip('/')}{PATH}"
        if not url:
            return None
        protocol = self._get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or self._get("OTEL_EXPORTER_OTLP_PROTOCOL")
        if protocol not in ("", "http/protobuf"):
            log.warning("%s is not used: spans are sent as http/protobuf, not as %s", name, protocol)
            return None
        try:
            parts = urlsplit(url)
            valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            valid = False
        if not valid:
            log.warning("%s is not used: its value is not an http:// or https:// address", name)
        return url if valid else None

    def headers(self) -> dict[str, str]:
        name = "OTEL_EXPORTER_OTLP_TRACES_HEADERS"
        name = name if self._get(name) else "OTEL_EXPORTER_OTLP_HEADERS"
        return self._pairs(name)

    def resource(self) -> dict[str, str]:
        attributes = {"service.name": SERVICE_NAME} | self._pairs("OTEL_RESOURCE_ATTRIBUTES")
        service = self._get("OTEL_SERVICE_NAME")
        return attributes | {"service.name": service} if service else attributes

    def sampler(self) -> tuple[float, bool]:
        name = self._get("OTEL_TRACES_SAMPLER") or "parentbased_always_on"
        if name not in _SAMPLERS:
            log.warning("OTEL_TRACES_SAMPLER is not used: expected one of %s", ", ".join(_SAMPLERS))
            name = "parentbased_always_on"
        ratio, parent_based = _SAMPLERS[name]
        argument = self._get("OTEL_TRACES_SAMPLER_ARG")
        if argument and name.endswith("traceidratio"):
            try:
                given = float(argument)
                ratio = given if 0 <= given <= 1 else -1.0
            except ValueError:
                ratio = -1.0
            if ratio < 0:
                log.warning("OTEL_TRACES_SAMPLER_ARG is not used: expected a number from 0 to 1")
                ratio = 1.0
        return ratio, parent_based

    def milliseconds(self, name: str, other: str, default_s: float) -> float:
        """The time in `name`, else in `other`, seconds."""
        text = self._get(name) or self._get(other)
        if not text:
            return default_s
        if not text.isdigit() or not int(text):
            log.warning("%s is not used: expected a number of milliseconds", name if self._get(name) else other)
            return default_s
        return int(text) / 1000

    def _pairs(self, name: str) -> dict[str, str]:
        """`a=1,b=x%20y` as a mapping."""
        pairs = {}
        for item in filter(None, self._get(name).split(",")):
            key, equals, value = item.partition("=")
            key, value = key.strip(), unquote(value.strip())
            if not equals or not key or not key.isprintable() or not value.isprintable():
                log.warning("an entry of %s is not used: expected NAME=VALUE, separated by commas", name)
                continue
            pairs[key] = value
        return pairs

    def _get(self, name: str) -> str:
        return self._environment.get(name, "").strip()


def _with_path(endpoint: str) -> str:
    """The address for spans: `http://127.0.0.1:4318` is `http://127.0.0.1:4318/v1/traces`."""
    endpoint = endpoint.rstrip("/")
    return endpoint if endpoint.endswith(PATH) else f"{endpoint}{PATH}"
