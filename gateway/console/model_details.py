"""What the map shows of one model: how it stands, how well it is known, and what it adds to the portfolio."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from gateway.config.portfolio import Model
from gateway.config.price import Price
from gateway.console.formats import number, percent
from gateway.console.last_advice import LastAdvice
from gateway.console.own_traffic import OwnTraffic
from gateway.console.space_view import SpaceView
from gateway.model_versions.description import describe_version
from gateway.model_versions.stored import Version

Facts = list[tuple[str, str]]


def model_details(
    view: SpaceView,
    row: int,
    traffic: OwnTraffic | None,
    answered: Mapping[str, int],
    history: Sequence[Version],
    advice: LastAdvice | None,
) -> dict[str, Any]:
    """What `space_map.js` shows of a model, for JSON.

    Args:
        row: of the view.
        answered: the requests that each model of the portfolio answered.
        history: versions of its embedding, the newest first.
        advice: the newest one; None: none was asked for.
    """
    other, name = row >= view.own, view.names[row]
    facts = [] if other else _of_portfolio(view, name, answered)
    facts += _accuracy(view, row, traffic)
    overview = view.overviews[row] if view.overviews else None
    kinds = [] if overview is None else overview.benchmarks.items()
    return {
        "facts": facts,
        "notes": [*_notes(view, row, traffic), *_advised(view, row, advice)],
        "links": [
            *([] if other else [("State, deployments and onboarding", f"/ui/models/{quote(name)}")]),
            ("Ask for advice", "/ui/replay") if advice is None else ("The advice", f"/ui/replay/job?id={advice.id}"),
        ],
        "stand_ins": [] if other else [{"name": one.model, "distance": one.distance} for one in view.stand_ins(row)],
        "neighbors": [
            {"name": near.model, "other": far, "distance": near.distance} for near, far in view.neighbors(row)
        ],
        "kinds": [
            {"name": kind, "mean": one.mean, "error": one.standard_error, "measured": one.measured}
            for kind, one in kinds
        ],
        "history": [describe_version(version) for version in history],
    }


def _of_portfolio(view: SpaceView, name: str, answered: Mapping[str, int]) -> Facts:
    standing = view.in_force.standings[name]
    model = next(one for one in view.in_force.portfolio.models if one.name == name)
    facts = [("State", standing.state if not standing.reason else f"{standing.state}: {standing.reason}")]
    facts.append(("Embedding", _embedding(model, view)))
    total = sum(answered.values())
    if total:
        own = answered.get(name, 0)
        facts.append(("Requests", f"{number(own)}, {percent(own / total)} of all"))
    facts.append(("Price", _price(model.price)))
    return facts


def _embedding(model: Model, view: SpaceView) -> str:
    standing = view.in_force.standings[model.name]
    shown = standing.shown(model.embedding) or "none"
    return shown if standing.version is None else f"{shown}, version {standing.version}"


def _price(price: Price | None) -> str:
    if price is None:
        return "not known"
    return f"{price.rates.input:g} / {price.rates.output:g} USD per million tokens"


def _accuracy(view: SpaceView, row: int, traffic: OwnTraffic | None) -> Facts:
    facts = []
    if traffic is not None:
        mean, error = traffic.accuracy[row], traffic.error[row]
        facts.append(("On your queries", f"{percent(mean)} ± {percent(error)}, the last {number(traffic.queries)}"))
    if view.overviews:
        one = view.overviews[row]
        facts.append(("Over benchmarks", f"{percent(one.accuracy.mean)} ± {percent(one.accuracy.standard_error)}"))
        facts.append(("Evaluations", number(one.evaluations)))
    return facts


def _notes(view: SpaceView, row: int, traffic: OwnTraffic | None) -> list[str]:
    """What a relative means, and what the model adds."""
    notes, other = [], row >= view.own
    if (relative := view.relatives[row]) is not None:
        notes.append(
            f"It was never evaluated here: it borrows the embedding of {relative}, so all its accuracies are guesses."
        )
    if not other and view.in_force.standings[view.names[row]].never_chosen:
        notes.append("auto does not choose it in this state.")
    if traffic is None:
        notes.append("What it adds to your portfolio is not known: the record has too few of your queries.")
    elif (gain := traffic.gain(row)) is not None:
        points = f"{100 * gain:.1f} points"
        of = f"on your last {number(traffic.queries)} queries, if each goes to the model with the highest P(correct)"
        notes.append(
            f"It would add {points} of expected accuracy {of}."
            if other
            else f"Without it the portfolio would lose {points} {of}."
        )
    return notes


def _advised(view: SpaceView, row: int, advice: LastAdvice | None) -> list[str]:
    """What the last advice says of the model, prices included."""
    name, other = view.names[row], row >= view.own
    if advice is None:
        return ["Advice on the portfolio weighs prices too: it has not been asked for yet."]
    if (words := (advice.added if other else advice.removed).get(name)) is not None:
        return [f"The advice of {advice.day}: {'with' if other else 'without'} it {words}."]
    if other:
        return [
            f"The advice of {advice.day} does not name it: it is not sure to gain accuracy at equal cost, or has no known price."
        ]
    return []
