"""What needs the attention of an operator now, or of the holder of a key: for the first page."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from gateway.config.access import Limits
from gateway.console.spending import BudgetView, Kind, Spending
from gateway.console.visitor import Visitor
from gateway.http.service import Service
from gateway.keys.search import budgeted_keys
from gateway.store.transactions import reading

MOST_DEPLOYMENTS = 5  # that are named each; of more, the number
MOST_KEYS = 200  # of the store whose budgets are looked at


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing.

    Attributes:
        level: "bad" if requests fail for it or records are lost, else "warn".
        link: a page that says more; empty: none.
    """

    level: Literal["warn", "bad"]
    text: str
    link: str = ""


async def notices(service: Service, visitor: Visitor) -> list[Notice]:
    """What needs attention, the worst first.

    Raises:
        StoreUnavailable: the database cannot be used.
    """
    found: list[Notice] = []
    if visitor.operator:
        found += [*_of_process(service), *await _of_drift(service), *_of_deployments(service)]
    found += await _of_budgets(service, visitor)
    return sorted(found, key=lambda notice: notice.level)


def _of_process(service: Service) -> Iterator[Notice]:
    if service.reload_error is not None:
        yield Notice("bad", f"The changed portfolio file is not in force: {service.reload_error}")
    recorder = service.recorder
    if recorder.failure is not None:
        yield Notice("bad", f"Records cannot be written, and wait in memory: {recorder.failure}.")
    if recorder.lost:
        yield Notice("bad", f"{recorder.lost:,} records were lost since the start of this process.")


async def _of_drift(service: Service) -> list[Notice]:
    if service.database is None:
        return []
    async with reading(service.database, "drift") as connection:
        from sqlalchemy import select

        from gateway.store.tables import MODEL_STATES

        c = MODEL_STATES.c
        query = select(c.model, c.deployment, c.state, c.reason).where(c.state.in_(("suspect", "quarantined")))
        rows = (await connection.execute(query.order_by(c.model, c.deployment))).all()
    known = service.in_force.portfolio.model_names
    return [
        Notice("warn", f"{row.deployment or row.model} is {row.state}: {row.reason}", "/ui/models")
        for row in rows
        if row.model in known
    ]


def _of_deployments(service: Service) -> Iterator[Notice]:
    """The deployments that cannot be called now, for another reason than drift."""
    out, failing = [], []
    for name, live in service.in_force.deployments.models.items():
        reasons = {one.spec.id: one.unavailable() for one in live.deployments if one.quarantined is None}
        away = [f"{id}: {reason}" for id, reason in reasons.items() if reason is not None]
        out += away
        if live.unavailable() is not None:
            failing.append(name)
    level: Literal["warn", "bad"] = "bad" if failing else "warn"
    if len(out) > MOST_DEPLOYMENTS:
        models = f"; no deployment of {len(failing):,} models can be called" if failing else ""
        yield Notice(level, f"{len(out):,} deployments cannot be called now{models}.", "/ui/models")
        return
    for one in out:
        yield Notice(level, f"{one}.", "/ui/models")


async def _of_budgets(service: Service, visitor: Visitor) -> list[Notice]:
    names = await _scopes(service) if visitor.operator else _own_scopes(visitor)
    scopes = [(kind, id, limits) for (kind, id), (_, limits) in names.items() if limits.budgets]
    budgets = await Spending(service).budgets(scopes)
    return [
        _of_budget(kind, names[kind, id][0], budget, visitor)
        for (kind, id), some in budgets.items()
        for budget in some
        if budget.level in ("warn", "bad")
    ]


def _of_budget(kind: Kind, name: str, budget: BudgetView, visitor: Visitor) -> Notice:
    share = 1.0 if not budget.limit else (budget.spent or 0) / budget.limit
    per = "" if budget.per == "ever" else f" of the {budget.per}"
    text = f"The budget{per} of the {kind} {name} is spent to {100 * share:.0f}%."
    return Notice("bad" if budget.level == "bad" else "warn", text, "/ui/keys")


async def _scopes(service: Service) -> dict[tuple[Kind, str], tuple[str, Limits]]:
    """Name and limits of the keys with budgets that were used last and of all teams, those of the portfolio file first."""
    access = service.in_force.portfolio.access
    keys, teams = list(access.keys), list(access.teams)
    if service.key_store is not None and service.database is not None:
        keys += [key.in_force for key in await budgeted_keys(service.database, MOST_KEYS)]
        teams += [team.in_force for team in await service.key_store.teams()]
    found: dict[tuple[Kind, str], tuple[str, Limits]] = {}
    for key in keys:
        found["key", key.identity.id] = key.identity.name, key.limits
    for team in reversed(teams):  # those of the file count
        found["team", team.name] = team.name, team.limits
    return found


def _own_scopes(visitor: Visitor) -> dict[tuple[Kind, str], tuple[str, Limits]]:
    """Of the visitor's own key; what its team has spent is not for its eyes."""
    identity = visitor.grant.identity
    return {("key", name): (identity.name, limits) for (kind, name), limits in visitor.grant.scopes if kind == "key"}
