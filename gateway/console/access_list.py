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

SHOWN = 100  # keys on one page
RECENT_S = 7 * 86_400.0


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
        """Keys whose name, id or team contains a text: at most `SHOWN`, and the number of all.

        Args:
            team: only its keys; None: all.
        """
        wanted = search.casefold()
        found = [
            (key, fields)
            for key, fields in await self._keys(revoked=revoked)
            if wanted in _searched(fields) and team in (None, fields["team"])
        ]
        return await self._listed_keys(found[:SHOWN]), len(found)

    async def key(self, key_id: str) -> Listed:
        """
        Raises:
            NotFound: there is no key with this id.
        """
        found = [one for one in await self._keys(revoked=True) if one[1]["id"] == key_id]
        if not found:
            raise NotFound(f"There is no key `{key_id[:64]}`.")
        return (await self._listed_keys(found))[0]

    async def teams(self) -> list[Listed]:
        """All teams."""
        found = await self._teams()
        budgets = await self.spending.budgets(("team", team.name, team.limits) for team, _ in found)
        recent = await self.spending.since("team", [team.name for team, _ in found], self._since)
        keys = Counter(fields["team"] for _, fields in await self._keys(revoked=False))
        listed = []
        for team, fields in found:
            own = budgets["team", team.name]
            listed.append(
                Listed(fields, own, *self._state(own, [team.expires]), recent.get(team.name), keys[team.name])
            )
        return listed

    async def team(self, name: str) -> Listed:
        """
        Raises:
            NotFound: there is no team with this name.
        """
        for team in await self.teams():
            if team.fields["name"] == name:
                return team
        raise NotFound(f"There is no team `{name[:64]}`.")

    async def _keys(self, *, revoked: bool) -> list[tuple[AccessKey, JsonObject]]:
        """Those of the portfolio file, then those of the store."""
        store, of_file = self._service.key_store, self._service.in_force.portfolio.access.keys
        used = {} if store is None else await store.last_used()
        found = [(key, describe_file_key(key, used)) for key in of_file]
        if store is not None:
            found += [(key.in_force, describe_key(key, used)) for key in await store.keys(revoked=revoked)]
        return found

    async def _teams(self) -> list[tuple[Team, JsonObject]]:
        found = [(team, describe_file_team(team)) for team in self._service.in_force.portfolio.access.teams]
        if self._service.key_store is not None:
            found += [(team.in_force, describe_team(team)) for team in await self._service.key_store.teams()]
        return found

    async def _listed_keys(self, found: Sequence[tuple[AccessKey, JsonObject]]) -> list[Listed]:
        teams = {team.name: team for team, _ in reversed(await self._teams())}  # those of the file count
        budgets = await self.spending.budgets(("key", key.identity.id, key.limits) for key, _ in found)
        recent = await self.spending.since("key", [key.identity.id for key, _ in found], self._since)
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

    @property
    def _since(self) -> float:
        return self._service.limiter.now - RECENT_S


def _searched(fields: JsonObject) -> str:
    return f"{fields['name']}\n{fields['id']}\n{fields['team'] or ''}".casefold()
