"""Keys and teams: what each may use, and its limits. The entries of the portfolio file, and the frozen values in force.

Keys that are made at run time have the same fields. Money is in nano-USD, 10^-9 USD.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from gateway.config.field_types import AccessName, Count, FileModel, Name, PolicyName, SecretKey
from gateway.config.secret import Secret
from gateway.core.identity import KeyIdentity
from gateway.core.vocabulary import NUSD_PER_USD

Period = Literal["day", "week", "month", "ever"]


def _timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise PydanticCustomError("timezone", "write a time zone, such as Europe/Berlin") from exc
    return value


def _moment(value: object) -> object:
    """A date, or a time with its zone; texts in ISO 8601."""
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value) if len(value) <= 10 else datetime.fromisoformat(value)
        except ValueError:
            value = None
    if not isinstance(value, date):
        raise PydanticCustomError("expires", "write a date or a time, such as 2027-01-01 or 2027-01-01T12:00:00Z")
    return value


Timezone = Annotated[str, AfterValidator(_timezone)]
Expiry = Annotated[datetime | date, BeforeValidator(_moment), WithJsonSchema({"type": "string", "format": "date"})]


class BudgetEntry(FileModel):
    """Money that may be spent in a calendar window."""

    usd: Annotated[float, Field(ge=0, le=9e6)] = Field(description="The most that may be spent in one window, USD")
    per: Period = Field(
        description="The window: it begins at midnight, a week on Monday. ever: one window without an end"
    )
    warn: Annotated[float, Field(gt=0, le=1)] = Field(
        0.8, description="Share of the budget at which the log warns, once in a window"
    )
    overshoot: Annotated[float, Field(ge=0, le=10)] = Field(
        0.1,
        description="Share of the budget by which requests that run at once may exceed it if all of them cost the most "
        "that they can; 0: never, so a request is refused as soon as its highest cost does not fit",
    )


class NearLimitEntry(FileModel):
    """Requests to `auto` choose cheaper models when a budget is nearly spent."""

    at: Annotated[float, Field(ge=0, lt=1)] = Field(0.8, description="Share of a budget from which on this applies")
    cost_weight: Annotated[float, Field(ge=1, le=1e6)] = Field(
        4.0,
        description="Money counts so many times as much: the policy's cost weight, or its `max_loss`, is multiplied by this",
    )


class AccessEntry(FileModel):
    """The fields that keys and teams share."""

    models: Annotated[list[Name], Field(min_length=1)] | None = Field(
        None,
        description="Models that may answer. `auto` and stand-ins choose among them too. Default: all",
    )
    policies: list[PolicyName] | None = Field(
        None,
        description="Policies that may be used; `auto` is the first one, if `default_policy` is not among them. []: models "
        "must be named. Default: all, and requests may change a policy's numbers",
    )
    budget: list[BudgetEntry] = Field([], description="Budgets; all of them apply")
    timezone: Timezone = Field("UTC", description="Time zone of the budgets' windows and of `expires`")
    rpm: Count | None = Field(None, description="Most requests per minute. Default: no limit")
    tpm: Count | None = Field(None, description="Most tokens per minute. Default: no limit")
    max_parallel_requests: Count | None = Field(None, description="Most requests at once. Default: no limit")
    expires: Expiry | None = Field(None, description="Requests are refused from this date or time on. Default: never")
    tags: list[AccessName] = Field([], max_length=20, description="Tags of its requests in the record")
    near_limit: NearLimitEntry | None = Field(
        None, description="Choose cheaper models when a budget is nearly spent. Default: off"
    )

    @property
    def limits(self) -> "Limits":
        budgets = tuple(
            Budget(round(b.usd * NUSD_PER_USD), b.per, b.overshoot, b.warn, self.timezone) for b in self.budget
        )
        near = None if self.near_limit is None else NearLimit(self.near_limit.at, self.near_limit.cost_weight)
        return Limits(budgets, self.rpm, self.tpm, self.max_parallel_requests, near)

    @property
    def allowed(self) -> "Allowed":
        return Allowed(
            None if self.models is None else frozenset(self.models),
            None if self.policies is None else tuple(dict.fromkeys(self.policies)),
        )

    @property
    def expires_at(self) -> datetime | None:
        """The time of `expires`, in UTC; a date and a time without a zone are in `timezone`."""
        at = self.expires
        if at is None:
            return None
        moment = at if isinstance(at, datetime) else datetime.combine(at, time())
        return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(self.timezone))).astimezone(UTC)


class TeamEntry(AccessEntry):
    """A team. Its lists and limits apply to all of its keys together, besides those of each key."""

    name: AccessName = Field(description="Name of the team")


class NewKey(AccessEntry):
    """A gateway key, without the key itself."""

    name: AccessName = Field(description="Name of the key, in the record and in `locus spend`")
    team: AccessName | None = Field(None, description="Name of the key's team. Default: no team")


class KeyEntry(NewKey):
    """A gateway key with a name. Keys can also be made at run time, by `locus key create`."""

    key: SecretKey = Field(description="The key itself, as os.environ/NAME or file:PATH")


@dataclass(frozen=True, slots=True)
class Budget:
    """Money for one calendar window.

    Attributes:
        nusd: the most that may be spent, nano-USD.
        overshoot: share of `nusd` by which the highest costs of requests in progress may exceed it.
        warn: share of `nusd` at which the log warns.
        timezone: of the window's midnight; a name that `zoneinfo` knows.
    """

    nusd: int
    period: Period
    overshoot: float = 0.1
    warn: float = 0.8
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True)
class NearLimit:
    """From the share `at` of a budget on, money counts `cost_weight` times as much to policies."""

    at: float = 0.8
    cost_weight: float = 4.0


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one key or team. None: no limit."""

    budgets: tuple[Budget, ...] = ()
    rpm: int | None = None
    tpm: int | None = None
    max_parallel_requests: int | None = None
    near_limit: NearLimit | None = None


@dataclass(frozen=True, slots=True)
class Allowed:
    """The models and policies that requests may use; None: all of them.

    Attributes:
        policies: in the order of the file; the first one is `auto`, if the default policy is not among them.
    """

    models: frozenset[str] | None = None
    policies: tuple[str, ...] | None = None

    def model(self, name: str) -> bool:
        """True if this model may answer."""
        return self.models is None or name in self.models

    def policy(self, name: str) -> bool:
        """True if this policy may choose."""
        return self.policies is None or name in self.policies

    def within(self, other: "Allowed") -> "Allowed":
        """What both allow."""
        models, policies = self.models, self.policies
        if other.models is not None:
            models = other.models if models is None else models & other.models
        if other.policies is not None:
            policies = other.policies if policies is None else tuple(p for p in policies if p in other.policies)
        return Allowed(models, policies)


EVERYTHING = Allowed()
UNLIMITED = Limits()


@dataclass(frozen=True, slots=True)
class Team:
    """A team in force."""

    name: str
    allowed: Allowed = EVERYTHING
    limits: Limits = UNLIMITED
    expires: datetime | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A gateway key in force.

    Attributes:
        identity: with the tags of the key alone.
        secret: the key itself; None for a key of the store, which has a digest only.
    """

    identity: KeyIdentity
    allowed: Allowed = EVERYTHING
    limits: Limits = UNLIMITED
    expires: datetime | None = None
    secret: Secret | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """The keys and teams of the portfolio file, including the plain keys of `gateway.keys`."""

    keys: tuple[AccessKey, ...] = ()
    teams: tuple[Team, ...] = ()


@dataclass(frozen=True, slots=True)
class Grant:
    """What one request may do: by its key and by the key's team. The edge puts it into `scope["state"]["grant"]`.

    Attributes:
        identity: with the tags of key and team.
        allowed: what both allow.
        scopes: whose limits apply: `("key", id)` and `("team", name)`, each with its limits; without those that have none.
        expires: the earlier expiry of both.
    """

    identity: KeyIdentity
    allowed: Allowed = EVERYTHING
    scopes: tuple[tuple[tuple[str, str], Limits], ...] = ()
    expires: datetime | None = None


def grant_of(key: AccessKey, team: Team | None) -> Grant:
    """The grant of a key's requests."""
    identity = key.identity
    scopes = [(("key", identity.id), key.limits)]
    if team is None:
        return Grant(identity, key.allowed, _limited(scopes), key.expires)
    scopes.append((("team", team.name), team.limits))
    identity = replace(identity, tags=tuple(dict.fromkeys((*identity.tags, *team.tags))))
    ends = [end for end in (key.expires, team.expires) if end is not None]
    return Grant(identity, key.allowed.within(team.allowed), _limited(scopes), min(ends, default=None))


def _limited(scopes: Iterable[tuple[tuple[str, str], Limits]]) -> tuple[tuple[tuple[str, str], Limits], ...]:
    return tuple((scope, limits) for scope, limits in scopes if limits != UNLIMITED)
