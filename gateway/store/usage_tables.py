"""The tables of sums over requests, which are kept when the requests are deleted; see `gateway.store.tables`."""

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text

from gateway.store.metadata import METADATA, count

SUM_KEY = ("key_id", "team", "model", "policy")  # what a request does not have, such as a team, is the empty text
SUMS = (
    "requests",
    "errors",
    "prompt_tokens",
    "cached_tokens",
    "completion_tokens",
    "nusd",
    "unpriced_calls",
    "cache_hits",
    "saved_nusd",
    "stand_ins",
    "continued",  # streams that broke, and that another call continued
    # Requests whose cost is known both as it was and at the model with the highest P(correct), and these costs.
    "compared",
    "compared_nusd",
    "best_nusd",
)


def _sums(name: str, period: str, *indexes: Index) -> Table:
    return Table(
        name,
        METADATA,
        Column(period, BigInteger, primary_key=True, autoincrement=False),
        *(Column(one, Text, primary_key=True) for one in SUM_KEY),
        *map(count, SUMS),
        *indexes,
    )


# Sums by hour and by day (UTC), each named by the time of its beginning, seconds since the epoch.
USAGE_HOURLY = _sums(
    "usage_hourly",
    "hour",
    Index("usage_hourly_by_key", "key_id", "hour"),
    Index("usage_hourly_by_team", "team", "hour"),
)
USAGE_DAILY = _sums("usage_daily", "day")
# How many answered requests of clients took how long, by hour; see `gateway.record.latency`. The scope is "all", or "key:ID".
LATENCY_HOURLY = Table(
    "latency_hourly",
    METADATA,
    Column("scope", Text, primary_key=True),
    Column("hour", BigInteger, primary_key=True, autoincrement=False),
    Column("bucket", Integer, primary_key=True, autoincrement=False),
    count("requests"),
)
