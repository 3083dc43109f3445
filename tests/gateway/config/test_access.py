"""Keys and teams of a portfolio file: their values in force, and the mistakes that are reported."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.config.access import Allowed, Budget, KeyEntry, Limits, NearLimit, TeamEntry, grant_of
from gateway.config.access_reader import _named_key, _team
from gateway.config.portfolio import Portfolio
from gateway.config.portfolio_file import PortfolioError, load_portfolio
from gateway.config.secret import Secret
from gateway.core.identity import KeyIdentity
from gateway.core.key_digest import owner_of

MODELS = "models:\n  - {name: small, deployments: [{model: ollama/s}], context_window: 9}\n"
TEAM = "teams:\n  - {name: build, budget: [{usd: 300, per: month}], tags: [team], expires: 2030-06-01}\n"


def load(folder: Path, text: str, **environment: str) -> Portfolio:
    path = folder / "p.yaml"
    path.write_text(MODELS + text)
    return load_portfolio(path, environment, writes=False)


def problems(folder: Path, text: str, **environment: str) -> list[str]:
    with pytest.raises(PortfolioError) as caught:
        load(folder, text, **environment)
    return [line.partition("p.yaml:")[2] for line in caught.value.problems]


def test_a_key_and_its_team(tmp_path: Path) -> None:
    text = (
        "keys:\n  - {name: ci, key: os.environ/CI, team: build, models: [small], policies: [cheap], rpm: 60, tpm: 1000,\n"
        "     max_parallel_requests: 8, budget: [{usd: 5, per: day}, {usd: 0.1, per: ever, warn: 0.5, overshoot: 0}],\n"
        "     timezone: Europe/Berlin, expires: 2027-01-01, tags: [batch], near_limit: {at: 0.5, cost_weight: 2}}\n"
    )
    (key,) = load(tmp_path, TEAM + text, CI="sk-ci\r\n").access.keys
    assert key.identity == KeyIdentity("file:ci", "ci", "build", ("batch",))
    assert key.secret == Secret("sk-ci")
    assert key.allowed == Allowed(frozenset({"small"}), ("cheap",))
    assert key.expires == datetime(2026, 12, 31, 23, tzinfo=UTC)
    berlin = "Europe/Berlin"
    budgets = Budget(5 * 10**9, "day", timezone=berlin), Budget(10**8, "ever", 0, 0.5, berlin)
    assert key.limits == Limits(budgets, 60, 1000, 8, NearLimit(0.5, 2))
    (team,) = load(tmp_path, TEAM).access.teams
    assert team.limits.budgets == (Budget(300 * 10**9, "month"),)
    grant = grant_of(key, team)
    assert grant.identity == KeyIdentity("file:ci", "ci", "build", ("batch", "team"))
    assert [scope for scope, _ in grant.scopes] == [("key", "file:ci"), ("team", "build")]
    assert grant.expires == key.expires
    assert grant_of(key, None).scopes == ((("key", "file:ci"), key.limits),)


def test_a_plain_key_may_everything_and_keeps_its_owner(tmp_path: Path) -> None:
    access = load(tmp_path, "gateway: {keys: [os.environ/A, sk-literal]}", A="sk-a\n").access
    assert [key.identity.name for key in access.keys] == ["A", "keys[1]"]
    grant = grant_of(access.keys[0], None)
    assert (grant.identity.id, grant.allowed, grant.scopes) == (owner_of(b"sk-a"), Allowed(), ())


@pytest.mark.parametrize(
    ("key", "team", "both"),
    [
        (Allowed(), Allowed(), Allowed()),
        (Allowed(frozenset("ab")), Allowed(), Allowed(frozenset("ab"))),
        (Allowed(frozenset("ab")), Allowed(frozenset("bc")), Allowed(frozenset("b"))),
        (Allowed(frozenset("a")), Allowed(frozenset("b")), Allowed(frozenset())),
        (Allowed(policies=("x", "y", "z")), Allowed(policies=("z", "x")), Allowed(policies=("x", "z"))),
        (Allowed(policies=()), Allowed(policies=("x",)), Allowed(policies=())),
        (Allowed(), Allowed(policies=("x",)), Allowed(policies=("x",))),
    ],
)
def test_what_a_key_and_its_team_both_allow(key: Allowed, team: Allowed, both: Allowed) -> None:
    assert key.within(team) == both


def test_keys_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b" sk-file \r\n")
    named = load(tmp_path, f"keys: [{{name: a, key: 'file:{tmp_path}/secret'}}]").access.keys[0]
    plain = load(tmp_path, "gateway: {keys: ['file:secret']}").access.keys[0]
    assert named.secret == plain.secret == Secret("sk-file")
    (tmp_path / "secret").write_bytes(b"sk-new\n")
    assert load(tmp_path, "gateway: {keys: ['file:secret']}").access.keys[0].secret == Secret("sk-new")


def test_an_expired_key_is_a_warning_so_that_the_gateway_starts(tmp_path: Path) -> None:
    portfolio = load(tmp_path, "keys:\n  - {name: a, key: os.environ/A, expires: 2020-01-01T00:00:00Z}\n", A="k")
    assert [w.partition("p.yaml:")[2] for w in portfolio.warnings] == [
        "4: keys[0].expires: 2020-01-01 00:00:00+00:00 is over, so its requests are refused"
    ]


KEY = "keys:\n  - {name: a, key: os.environ/A"
NEAR = KEY + ", budget: [{usd: 1, per: day}], near_limit: {at: 0.5}}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (KEY + ", team: x}", ["4: keys[0].team: found 'x'; the file has no `teams`"]),
        (TEAM + KEY + ", team: x}", ["6: keys[0].team: found 'x'; expected one of build"]),
        (KEY + "}\n  - {name: a, key: os.environ/B}", ["5: keys[1].name: 'a' is also keys[0]"]),
        (KEY + "}\n  - {name: b, key: os.environ/A}", ["5: keys[1].key: the same key as keys[0].key; each key needs its own"]),
        (KEY + "}\ngateway: {keys: [os.environ/A]}", ["4: keys[0].key: the same key as gateway.keys[0]; each key needs its own"]),
        (KEY + "}\ngateway: {admin_key: os.environ/A}", ["4: keys[0].key: the same as gateway.admin_key, so its holder would be the operator; choose another one"]),
        (KEY + ", models: [smal]}", ["4: keys[0].models[0]: found 'smal'; the portfolio has no such model"]),
        (KEY + ", models: ['auto:cheap']}", ["4: keys[0].models[0]: found 'auto:cheap'; `auto` and its policies belong to `policies`"]),
        (KEY + ", models: []}", ["4: keys[0].models: found an empty list; write at least one, such as models: [small]"]),
        (KEY + ", policies: [x]}", ["4: keys[0].policies[0]: found 'x', expected one of balanced, best, cheap, panel"]),
        (KEY + ", expires: soon}", ["4: keys[0].expires: found 'soon'; write a date or a time, such as 2027-01-01 or 2027-01-01T12:00:00Z"]),
        (KEY + ", timezone: Mars/Base}", ["4: keys[0].timezone: found 'Mars/Base'; write a time zone, such as Europe/Berlin"]),
        (KEY + ", budget: [{usd: 5, per: year}]}", ["4: keys[0].budget[0].per: found 'year'; write day, week, month or ever"]),
        (KEY + ", budget: [{per: day}]}", ["4: keys[0].budget[0].usd: missing; write usd: 5"]),
        (KEY + ", secret: x}", ["4: keys[0].secret: unknown key; expected one of models, policies, budget, timezone, rpm, tpm, max_parallel_requests, expires, tags, near_limit, name, team, key"]),
        ("keys: [os.environ/A]", ["3: keys[0]: found 'os.environ/A'; write a mapping, such as {name: ci, key: os.environ/LOCUS_KEY_CI}"]),
        ("keys: [{name: a, key: os.environ/NONE}]", ["3: keys[0].key: the environment variable NONE is not set"]),
        ("keys: [{name: a, key: 'file:/none'}]", ["3: keys[0].key: the file /none cannot be read, or is empty"]),
        ("keys: [{name: a, key: os.environ/SPACE}]", ["3: keys[0].key: the environment variable SPACE has a space inside; it must be the key alone"]),
        ("keys: [{name: a, key: os.environ/CONTROL}]", ["3: keys[0].key: the environment variable CONTROL has a line break or another control character inside; it must be the key alone"]),
        (KEY + ", near_limit: {at: 0.5}}", ["4: keys[0].near_limit: needs a `budget` that can be nearly spent"]),
        ("teams: [{name: build}]\n" + KEY + ", team: build, near_limit: {at: 0.5}}", ["5: keys[0].near_limit: needs a `budget`, of the key or of the team 'build'"]),
        ("teams: [{name: t, near_limit: {at: 0.5}}]", ["3: teams[0].near_limit: needs a `budget` that can be nearly spent"]),
        ("policies: {p: {min_p_correct: 0.7}}\ndefault_policy: p\n" + NEAR, ["6: keys[0].near_limit: changes nothing: p has the rule `min_p_correct`, whose minimum is kept"]),
        (NEAR.replace("near", "policies: [], near"), ["4: keys[0].near_limit: needs a policy; `policies` allows none"]),
        ("teams: [{name: t}, {name: t}]", ["3: teams[1].name: 't' is also teams[0]"]),
    ],
)  # fmt: skip
def test_mistakes_are_reported_with_their_line(tmp_path: Path, text: str, expected: list[str]) -> None:
    found = problems(tmp_path, text, A="sk-a", B="sk-b", SPACE="sk a", CONTROL="sk\na")
    assert found == expected


def test_a_key_that_is_no_text_is_not_shown(tmp_path: Path) -> None:
    assert problems(tmp_path, "keys: [{name: a, key: 12345678}]") == [
        "3: keys[0].key: found a number that is not shown; write a text, such as key: os.environ/LOCUS_KEY_CI"
    ]


def test_entries_without_limits_have_no_scopes() -> None:
    key = _named_key(KeyEntry.model_validate({"name": "a", "key": "k", "team": "t"}), Secret("k"))
    assert grant_of(key, _team(TeamEntry(name="t"))).scopes == ()
