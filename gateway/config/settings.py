"""The section `gateway` of a portfolio file: the gateway's own settings, with their defaults and descriptions.

The same frozen models are read from the file and used while the gateway runs. `gateway.config.settings_reader` replaces
the references in them: keys by the values of environment variables, and paths by paths that begin at the file's folder.
"""

import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from gateway.config.database_location import DatabaseLocation
from gateway.config.field_types import (
    Count,
    Duration,
    FileModel,
    FilePath,
    HeaderName,
    Name,
    Origin,
    Probability,
    Seconds,
    SecretKey,
    Stored,
    choices,
)
from gateway.config.front_ends import FRONT_ENDS
from gateway.core.vocabulary import StandIns

SHARED_SCHEMES = ("valkey", "valkeys", "redis", "rediss")
BESIDE_RECORD = Path("beside the record")
_MIB = 1 << 20

# Which deployments may answer a request that names a model when a deployment of that model fails: all deployments of the
# model and of its stand-ins, the deployments of the model, or no other deployment.
FailoverForNamed = Literal["stand_ins", "same_model", "never"]


class AccessSettings(FileModel):
    """Address of the gateway, its keys, and the web pages that may use it."""

    host: Name = Field("127.0.0.1", description="Address that the gateway listens on")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        4000, description="Port that the gateway listens on; 0: any free"
    )
    keys: tuple[SecretKey, ...] = Field(
        (),
        strict=False,
        description="Gateway keys without names and limits, each as os.environ/NAME or file:PATH. Without keys here and in "
        "`keys` of the file the gateway serves loopback addresses only",
    )
    admin_key: SecretKey | None = Field(
        None,
        description="Key for /metrics, /admin and the details of /health/ready, as os.environ/NAME or file:PATH. Without it only "
        "loopback clients get them",
    )
    key_pepper: SecretKey | None = Field(
        None,
        description="Secret of the digests of keys that are made at run time, as os.environ/NAME or file:PATH. A new one makes "
        "all of those keys invalid. Default: a random one in the database",
    )
    rotate_overlap: Annotated[float, Field(ge=0, le=31_536_000)] = Field(
        86_400.0, description="How long the old secret of a rotated key is accepted too, seconds"
    )
    cors_origins: tuple[Origin, ...] = Field(
        (),
        strict=False,
        description='Origins of web pages that may use the gateway, such as https://app.example; ["*"]: all pages',
    )


class BreakerSettings(FileModel):
    """Circuit breaker: conditions and times for which a failing deployment is not called."""

    breaker_failures: Count = Field(5, description="Failures in a row that start a cool-down of the deployment")
    cool_down: Seconds = Field(
        5.0, description="First cool-down of a deployment, seconds. It doubles with every failed probe"
    )
    max_cool_down: Seconds = Field(20.0, description="Longest cool-down, seconds")


class RetrySettings(FileModel):
    """Retries on one deployment."""

    retries: Annotated[int, Field(ge=0, le=3)] = Field(
        2, description="Most retries on one deployment after a 429. After a server error there is at most one"
    )
    max_retry_after: Annotated[float, Field(ge=0, le=86_400)] = Field(
        10.0, description="Longest Retry-After that the gateway waits for, seconds"
    )
    retry_budget: Probability = Field(
        0.2, description="Most retries of all requests together, as a share of their first calls"
    )


class LoadSettings(FileModel):
    """Limits on concurrent requests, queueing, body size and memory."""

    max_requests: Count = Field(1000, description="Most requests that are answered at once")
    max_queued: Annotated[int, Field(ge=0, le=10**6)] = Field(
        200, description="Most requests that wait for their turn; further ones get 503"
    )
    queue_timeout: Seconds = Field(
        5.0,
        description="Longest wait of a request for its turn, seconds. Then it gets 503, or 429 if a deployment's limit "
        "was the reason",
    )
    max_memory_mb: Annotated[float, Field(ge=64, le=10**9)] | None = Field(
        None,
        description="Memory for the bodies and answers of all requests, MiB. Beyond it requests get 503. Default: half of "
        "the memory of the machine or container",
    )

    @property
    def max_memory_bytes(self) -> int | None:
        return None if self.max_memory_mb is None else int(self.max_memory_mb * _MIB)


class Hedging(FileModel):
    """Hedged requests: if the first token is late, a stand-in is called too, and the first one to begin answers."""

    quantile: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.95, description="The stand-in is called after this quantile of the deployment's usual time to the first token"
    )
    budget: Probability = Field(0.05, description="Most hedged requests, as a share of all requests")


class CacheSettings(FileModel):
    """Memory of the cache for answers, in each process. A policy or a request turns the cache on."""

    max_mb: Annotated[float, Field(gt=0, le=10**6)] = Field(256.0, description="Memory of all stored answers, MiB")
    max_entry_kb: Annotated[float, Field(gt=0, le=10**6)] = Field(
        512.0, description="Largest answer that is stored, KiB"
    )

    @property
    def max_bytes(self) -> int:
        return int(self.max_mb * _MIB)

    @property
    def max_entry_bytes(self) -> int:
        return int(self.max_entry_kb * 1024)


class Otel(FileModel):
    """Export of OpenTelemetry spans over OTLP/HTTP. OpenTelemetry's environment variables are the defaults of these keys."""

    endpoint: Name | None = Field(
        None,
        description="Address of the collector, to which /v1/traces is appended; os.environ/NAME is possible. Default: "
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT",
    )
    headers: dict[HeaderName, SecretKey] = Field(
        {},
        description="Headers of every export, such as a key of the collector, each as os.environ/NAME. Default: "
        "OTEL_EXPORTER_OTLP_HEADERS",
    )
    sample: Probability | None = Field(
        None,
        description="Share of the requests that are exported if the client has not decided; errors and answers of "
        "stand-ins always are. Default: OTEL_TRACES_SAMPLER, or all",
    )
    content: Literal["none", "spans"] = Field(
        "none", description="Whether spans have the messages of the request and of the answer"
    )
    propagate: bool = Field(False, description="Whether calls to providers carry the trace context (traceparent)")


class UtilityCalls(FileModel):
    """Small calls that chat front ends make on their own, such as for titles. They use a policy of their own."""

    policy: Name = Field("cheap", description="Name of the policy for these calls")
    front_ends: list[Name] = Field(
        [],
        description="Front ends whose calls are recognised by their known prompts",
        json_schema_extra=choices(FRONT_ENDS),
    )
    patterns: list[Name] = Field(
        [], description="Regular expressions that are searched in the system prompt and in the last user message"
    )

    @cached_property
    def regexes(self) -> tuple[re.Pattern[str], ...]:
        """All patterns, compiled.

        Raises:
            KeyError: a front end is not known.
            re.error: a pattern is not a regular expression.
        """
        return tuple(re.compile(p) for p in (*(FRONT_ENDS[name] for name in self.front_ends), *self.patterns))


class Settings(BreakerSettings, RetrySettings, LoadSettings, AccessSettings):
    """The gateway's own settings."""

    shutdown_grace: Seconds = Field(30.0, description="Longest wait for unfinished requests at shutdown, seconds")
    max_body_mb: Annotated[float, Field(gt=0, le=10_000)] = Field(20.0, description="Largest request body, MiB")
    record: FilePath | None = Field(
        Path("locus.db"),
        description="SQLite file with one row per request; null: no rows. With `store` the rows are written there. Default: in "
        "the working directory",
    )
    store: SecretKey | None = Field(
        None,
        description="Database of the record, the ledger, keys, budgets and stored responses, as os.environ/NAME or text: "
        "postgresql://USER:PASSWORD@HOST/DATABASE, or sqlite:///FILE. Several gateways may share a PostgreSQL database. "
        "Default: the file of `record`",
    )
    shared: SecretKey | None = Field(
        None,
        description="Valkey or Redis server that gateways on several machines share, for limits, conversations and the state of "
        "deployments, as os.environ/NAME or text: valkey://USER:PASSWORD@HOST:PORT/0; valkeys:// with TLS. Default: limits are "
        "in `store`, and only one gateway may use it",
    )
    when_shared_is_away: Literal["local", "refuse"] = Field(
        "local",
        description="What happens to keys with limits while `shared`, or `store`, does not answer: local: each process admits its "
        "share of what was left; refuse: 503, as soon as the process has used what it holds",
    )
    replicas: Literal["independent"] | None = Field(
        None,
        description="independent: several gateways may use one `store` without `shared`. They have nothing in common but the "
        "database and the limits that are counted there. Default: only the first one starts",
    )
    record_retention: Duration | None = Field(
        None,
        description="Rows of the record are deleted when they are this old, seconds or a text such as 30d. The ledger and the "
        "sums by hour are kept. Default: never",
    )
    store_prompts: Stored = Field(
        False,
        description="Keep the messages of each request in the record. full: also its whole body, byte for byte: tools, schemas, "
        "images, parameters; of a body larger than 8 MiB only its size is kept",
    )
    responses: FilePath | None = Field(
        BESIDE_RECORD,
        description="SQLite file for the Responses API's `store` and `previous_response_id`; null: nothing is stored. "
        "Default: in `store`, or beside `record`, or nothing if both are null",
    )
    response_retention: Seconds = Field(
        86_400.0,
        description="A stored conversation of the Responses API is deleted when it was not continued for this long, seconds",
    )
    stand_ins: StandIns = Field(
        "best",
        description="What may answer if a call of the chosen model fails: never: no other deployment; same_model: only the model's "
        "other deployments; nearest: then other models, the nearest in the model space first; best: the same, but the model first "
        "that the policy would choose next, or that is nearest for this query if the request names its model",
    )
    failover_for_named: FailoverForNamed = Field(
        "stand_ins",
        description="The same for requests that name their model: stand_ins: as `stand_ins` says, here and at the model; "
        "same_model: only the model's deployments; never: no other deployment",
    )
    stream_recovery: Literal["continue", "error"] = Field(
        "continue",
        description="What happens if a stream breaks after its first content: continue: another model continues it; "
        "error: the client gets an error event",
    )
    keep_alive: Annotated[float, Field(ge=0)] = Field(
        10.0, description="A stream gets a comment when nothing was sent on it for this long, seconds; 0: never"
    )
    switch_price: Probability = Field(
        0.05,
        description="A conversation changes its model only if the other one's P(correct) is higher by at least this",
    )
    utility_calls: UtilityCalls | None = Field(
        None, description="A policy for the small calls of chat front ends. Default: such calls are not recognised"
    )
    hedging: Hedging | None = Field(None, description="Hedged requests if the first token is late. Default: off")
    cache: CacheSettings | None = Field(
        CacheSettings(),
        description="Limits of the cache for answers, which a policy or a request turns on; null: no answer is stored, even "
        "if a request asks for it",
    )
    otel: Otel | None = Field(
        None, description="Export of traces. Default: off, unless OTEL_EXPORTER_OTLP_ENDPOINT is set"
    )

    def of_demo(self) -> "Settings":
        """These settings with files of the demo's own: simulated requests never enter the real record, ledger or key store."""
        responses = self.responses
        if responses is not None and responses != BESIDE_RECORD:
            responses = _of_demo(responses)
        record = None if self.record is None else _of_demo(self.record)
        return self.model_copy(update={"record": record, "store": None, "responses": responses})

    @property
    def run_time_keys(self) -> bool:
        """True if keys can be made at run time: there is a database, and an admin key that allows it."""
        return self.admin_key is not None and (self.record is not None or self.store is not None)

    @property
    def max_body_bytes(self) -> int:
        return int(self.max_body_mb * _MIB)

    @property
    def database(self) -> DatabaseLocation | None:
        """The database of the record, the ledger, keys and budgets; None if nothing is stored."""
        if self.store is not None:
            return DatabaseLocation.from_url(self.store.reveal())
        return None if self.record is None else DatabaseLocation(file=self.record)

    @property
    def responses_database(self) -> DatabaseLocation | None:
        """The database of the Responses API; None if nothing is stored."""
        if self.responses is None or self.responses != BESIDE_RECORD:
            return None if self.responses is None else DatabaseLocation(file=self.responses)
        database = self.database
        if database is None or database.file is None:
            return database
        return DatabaseLocation(file=database.file.with_name(f"{database.file.stem}-responses.db"))


def _of_demo(file: Path) -> Path:
    """`locus.db` -> `locus-demo.db`, in the same folder."""
    return file.with_name(f"{file.stem}-demo{file.suffix}")
