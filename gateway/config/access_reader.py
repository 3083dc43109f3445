"""The keys and teams of a portfolio file: checks their names and references, and makes the values in force of them."""

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime

from gateway.config.access import Access, AccessEntry, AccessKey, KeyEntry, NewKey, Team, TeamEntry
from gateway.config.document import Document
from gateway.config.references import ENVIRONMENT, References
from gateway.config.schema import PortfolioEntry
from gateway.config.secret import Secret
from gateway.config.settings import Settings
from gateway.config.yaml_reader import Place
from gateway.core.identity import KeyIdentity
from gateway.core.key_digest import owner_of
from gateway.core.vocabulary import ENCODER, is_reserved
from router.model.policy import Policy

FILE_KEY = "file:"  # begins the ids of the file's keys with a name, and of no other keys


def read_access(
    document: Document,
    references: References,
    entry: PortfolioEntry,
    settings: Settings,
    policies: Mapping[str, Policy],
) -> Access:
    """The keys and teams of a checked file. Mistakes are reported to the document.

    Args:
        settings: with the values of the plain keys.
        policies: of the portfolio, by name.
    """
    models = frozenset([*(m.name for m in entry.models), *(m.name for m in entry.embedding_models), ENCODER])
    _check_names(document, "teams", [team.name for team in entry.teams])
    _check_names(document, "keys", [key.name for key in entry.keys])
    for i, team in enumerate(entry.teams):
        _check_entry(document, references, ("teams", i), team, models, policies)
    written = [key.reveal() for key in entry.gateway.keys]
    keys = [plain_key(secret, i, written[i]) for i, secret in enumerate(settings.keys)]
    places = {key.identity.id: f"gateway.keys[{i}]" for i, key in enumerate(keys)}
    teams = {team.name: team for team in entry.teams}
    for i, key in enumerate(entry.keys):
        where: Place = ("keys", i)
        _check_entry(document, references, where, key, models, policies)
        if key.team is not None and key.team not in teams:
            known = f"expected one of {', '.join(teams)}" if teams else "the file has no `teams`"
            document.report((*where, "team"), f"found {key.team!r}; {known}")
        elif key.team is not None and key.near_limit is not None and not (key.budget or teams[key.team].budget):
            document.report((*where, "near_limit"), f"needs a `budget`, of the key or of the team {key.team!r}")
        secret = references.gateway_key((*where, "key"), key.key.reveal())
        if secret is None:
            continue
        keys.append(_named_key(key, secret))
        _check_secret(document, (*where, "key"), secret, settings.admin_key, places)
    return Access(tuple(keys), tuple(_team(team) for team in entry.teams))


def plain_key(secret: Secret, number: int, written: str) -> AccessKey:
    """A key of `gateway.keys`: it may use everything. Its name is that of its environment variable, or its number."""
    name = written.removeprefix(ENVIRONMENT) if written.startswith(ENVIRONMENT) else f"keys[{number}]"
    return AccessKey(KeyIdentity(owner_of(secret.to_bytes()), name), secret=secret)


def _named_key(key: KeyEntry, secret: Secret) -> AccessKey:
    identity = KeyIdentity(FILE_KEY + key.name, key.name, key.team, tuple(key.tags))
    return AccessKey(identity, key.allowed, key.limits, key.expires_at, secret)


def _team(team: TeamEntry) -> Team:
    return Team(team.name, team.allowed, team.limits, team.expires_at, tuple(team.tags))


def _check_names(document: Document, section: str, names: list[str]) -> None:
    first: dict[str, int] = {}
    for i, name in enumerate(names):
        if name in first:
            document.report((section, i, "name"), f"{name!r} is also {section}[{first[name]}]")
        first.setdefault(name, i)


def _check_entry(
    document: Document,
    references: References,
    where: Place,
    entry: AccessEntry,
    models: frozenset[str],
    policies: Mapping[str, Policy],
) -> None:
    for place, problem in problems_of(entry, models, policies):
        document.report((*where, *place), problem)
    if entry.expires_at is not None and entry.expires_at <= datetime.now(UTC):
        references.warn((*where, "expires"), f"{entry.expires} is over, so its requests are refused")


def problems_of(
    entry: AccessEntry, models: Collection[str], policies: Mapping[str, Policy]
) -> Iterator[tuple[Place, str]]:
    """What a key or team names that the portfolio does not have, or cannot do: the place of each, and what is wrong."""
    for i, name in enumerate(entry.models or ()):
        if name not in models:
            reserved = "`auto` and its policies belong to `policies`"
            yield (
                ("models", i),
                f"found {name!r}; {reserved if is_reserved(name) else 'the portfolio has no such model'}",
            )
    for i, name in enumerate(entry.policies or ()):
        if name not in policies:
            yield ("policies", i), f"found {name!r}, expected one of {', '.join(sorted(policies))}"
    if entry.near_limit is not None and (why := _nothing_to_save(entry, policies)) is not None:
        yield ("near_limit",), why


def _nothing_to_save(entry: AccessEntry, policies: Mapping[str, Policy]) -> str | None:
    """Why `near_limit` could never change a choice; None if it can."""
    in_team = isinstance(entry, NewKey) and entry.team is not None  # whose budgets count too
    if not entry.budget and not in_team:
        return "needs a `budget` that can be nearly spent"
    usable = [policies[name] for name in (policies if entry.policies is None else entry.policies) if name in policies]
    if all(policy.rule == "min_p_correct" for policy in usable):
        names = ", ".join(policy.name for policy in usable)
        kept = f"{names} {'has' if len(usable) == 1 else 'have'} the rule `min_p_correct`, whose minimum is kept"
        return f"changes nothing: {kept}" if usable else "needs a policy; `policies` allows none"
    return None


def _check_secret(
    document: Document, where: Place, secret: Secret, admin_key: Secret | None, places: dict[str, str]
) -> None:
    """Reports a key that is also the admin key or another one. Notes its place."""
    if secret == admin_key:
        document.report(where, "the same as gateway.admin_key, so its holder would be the operator; choose another one")
    digest = owner_of(secret.to_bytes())
    if digest in places:
        document.report(where, f"the same key as {places[digest]}; each key needs its own")
    places.setdefault(digest, document.place(where))
