"""Keys and teams as the console shows them: what they may do, what their budgets have left, and in which state they are."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.config.access import AccessKey, Team
from gateway.console.spending import BudgetView, Level, Spending
from gateway.core.errors import NotFound
from gateway.core.json_types import JsonObject
from gateway.http.service import Service
from gateway.keys.description import describe_file_key, describe_file_team, describe_key, describe_team
from gateway.keys.search import find_keys, keys_of_teams
from gateway.keys.stored import StoredKey

SHOWN = 50  # keys on one page


@dataclass(frozen=True, slots=True)
class Listed:
    """A key or team.

    Attributes:
        fields: as `/admin/keys` and `/admin/teams` have them.
        state: in words; `level`: how bad it is.
        recent: nano-USD of the last seven days; None: there are no sums.
        keys: of a team, the number of its keys in use.
    """

    fields: JsonObject
    budgets: Sequence[BudgetView]
    state: str
    level: Level
    recent: int | None
    keys: int = 0

    @property
    def changeable(self) -> bool:
        """True if it can be changed here."""
        return self.fields["source"] == "store" and not self.fields.get("revoked")


class AccessList:
    """Reads keys and teams of the portfolio file and of the store. All methods raise StoreUnavailable if it cannot be used.

    Attributes:
        spending: of keys and teams.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self.spending = Spending(service)

    async def keys(
        self, search: str = "", *, team: str | None = None, revoked: bool = False
    ) -> tuple[list[Listed], int]:
        """Keys whose name, id or team contains a text, those of the file first: at most `SHOWN`, and the number of all.

        Args:
            team: only its keys; None: all.
            revoked: True if revoked ones are wanted too.
        """
        database, wanted = self._service.database, search.casefold()
        of_file = [key for key in self._of_file if _matches(key, wanted) and team in (None, key.identity.team)]
        stored: list[StoredKey] = []
        count = 0
        if database is not None:
            stored, count = await find_keys(database, search, team=team, revoked=revoked, most=SHOWN)
        return await self._listed_keys(of_file[:SHOWN], stored[: max(0, SHOWN - len(of_file))]), len(of_file) + count

    async def key(self, key_id: str) -> Listed:
        """
        Raises:
            NotFound: there is no key with this id.
        """
        of_file = [key for key in self._of_file if key.identity.id == key_id]
        stored = None
        if not of_file and self._service.key_store is not None:
            stored, _ = await self._service.key_store.find(key_id)
        for found in await self._listed_keys(of_file, [] if stored is None else [stored]):
            return found
        raise NotFound(f"There is no key `{key_id[:64]}`.")

    async def teams(self) -> list[Listed]:
        """All teams."""
        found = await self._teams()
        budgets = await self.spending.budgets(("team", team.name, team.limits) for team, _ in found)
        recent = await self.spending.recent("team", [team.name for team, _ in found])
        keys = Counter(key.identity.team for key in self._of_file)
        if self._service.database is not None:
            keys.update(await keys_of_teams(self._service.database))
        listed = []
        for team, fields in found:
            own = budgets["team", team.name]
            listed.append(
                Listed(fields, own, *self._state(own, [team.expires]), recent.get(team.name), keys[team.name])
            )
        return listed

    async def team_names(self) -> list[str]:
        """The names of all teams."""
        return [team.name for team, _ in await self._teams()]

    async def team(self, name: str) -> Listed:
        """
        Raises:
            NotFound: there is no team with this name.
        """
        for team in await self.teams():
            if team.fields["name"] == name:
                return team
        raise NotFound(f"There is no team `{name[:64]}`.")

    @property
    def _of_file(self) -> Sequence[AccessKey]:
        return self._service.in_force.portfolio.access.keys

    async def _teams(self) -> list[tuple[Team, JsonObject]]:
        found = [(team, describe_file_team(team)) for team in self._service.in_force.portfolio.access.teams]
        if self._service.key_store is not None:
            found += [(team.in_force, describe_team(team)) for team in await self._service.key_store.teams()]
        return found

    async def _listed_keys(self, of_file: Sequence[AccessKey], stored: Sequence[StoredKey]) -> list[Listed]:
        ids = [key.identity.id for key in of_file] + [key.id for key in stored]
        used = {} if self._service.key_store is None else await self._service.key_store.last_used(ids)
        found = [(key, describe_file_key(key, used)) for key in of_file]
        found += [(key.in_force, describe_key(key, used)) for key in stored]
        teams = {team.name: team for team, _ in reversed(await self._teams())}  # those of the file count
        budgets = await self.spending.budgets(("key", key.identity.id, key.limits) for key, _ in found)
        recent = await self.spending.recent("key", ids)
        listed = []
        for key, fields in found:
            own, name = budgets["key", key.identity.id], key.identity.team
            team = None if name is None else teams.get(name)
            if fields.get("revoked"):
                state: tuple[str, Level] = "revoked", "bad"
            elif name is not None and team is None:
                state = "refused: its team was deleted", "bad"
            else:
                state = self._state(own, [key.expires, None if team is None else team.expires])
            listed.append(Listed(fields, own, *state, recent.get(key.identity.id)))
        return listed

    def _state(self, budgets: Sequence[BudgetView], ends: Iterable[datetime | None]) -> tuple[str, Level]:
        now = self._service.limiter.now
        if any(end is not None and end.timestamp() <= now for end in ends):
            return "expired", "bad"
        levels = {budget.level for budget in budgets}
        if "bad" in levels:
            return "budget spent", "bad"
        return ("budget nearly spent", "warn") if "warn" in levels else ("in use", "good")


def _matches(key: AccessKey, text: str) -> bool:
    identity = key.identity
    return any(text in part.casefold() for part in (identity.name, identity.id, identity.team or ""))
