"""Which models answer a request together, by their P(correct) for its query, or why one model answers it. Pure."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gateway.config.ensemble import Ensemble
from gateway.core.vocabulary import OUTPUT_CAPABILITIES
from gateway.ensemble.key import Key
from gateway.ensemble.vote import Ballot, decided, weight
from gateway.request.chat_request import ChatRequest
from gateway.routing.decision import Decision, Scores
from gateway.routing.eligibility import allows
from router.model.policy import TIE

_NO_TEXT = frozenset(OUTPUT_CAPABILITIES.values())


@dataclass(frozen=True, slots=True)
class Member:
    """A model that is asked, or may be.

    Attributes:
        model: its index in the portfolio.
        name: its name.
        p_correct: its P(correct) for the query.
        weight: of its vote.
        usd: the expected price of the request at it, USD; None if its price is not known.
    """

    model: int
    name: str
    p_correct: float
    weight: float
    usd: float | None


@dataclass(frozen=True, slots=True)
class Plan:
    """The models that answer one request together.

    Attributes:
        ensemble: the settings, without a judge that the client or its key does not allow.
        members: the models in the order in which they are asked; empty if one model answers, the one of the decision.
        spare: models that replace members which fail, the best first.
        reason: why several models are asked, or why one answers: one sentence without a full stop.
    """

    ensemble: Ensemble
    members: tuple[Member, ...]
    spare: tuple[Member, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class _Ranked:
    """A model that could be asked.

    Attributes:
        member: the model.
        compared: the P(correct) by which the policy compares it, with its caution and the price of a switch.
        counted_usd: its expected price; if its price is not known, the highest one of the portfolio.
    """

    member: Member
    compared: float
    counted_usd: float


def plan(ensemble: Ensemble, decision: Decision, request: ChatRequest) -> Plan:
    """The members for one request: the most probable models that may be chosen for it, less than `gap_below` apart.

    The models are those among which the policy chose. They are ranked by the P(correct) by which the policy compares them; of equal
    ones the cheaper comes first. One model answers where its answer would be sent whatever the others say.
    """
    ensemble = _permitted(ensemble, request)
    scores, choice = decision.scores, decision.choice
    if scores is None or choice is None:
        return Plan(ensemble, (), (), "the policy did not choose the model")
    if (why_one := _prevented(ensemble, request)) is not None:
        return Plan(ensemble, (), (), why_one)
    ranked = _ranked(ensemble, decision, scores, choice.considered)
    asked, why_one = _asked(ensemble, decision, scores, ranked)
    if why_one is not None:
        return Plan(ensemble, (), (), why_one)
    spare = tuple(one.member for one in ranked if one not in asked)
    if ensemble.cheap_first:
        asked = sorted(asked, key=lambda one: one.counted_usd)
    members = tuple(one.member for one in asked)
    return Plan(ensemble, members, spare, _why_several(members))


def _permitted(ensemble: Ensemble, request: ChatRequest) -> Ensemble:
    """The ensemble for this request: a model that may not answer it may not see its text as the judge either."""
    if ensemble.judge is None or allows(request.overrides, ensemble.judge):
        return ensemble
    return replace(ensemble, judge=None, aggregate="auto")


def _prevented(ensemble: Ensemble, request: ChatRequest) -> str | None:
    """Why one model answers, whatever P(correct) says; None if several may."""
    if request.is_utility_call:
        return "a chat front end makes this call by itself"
    if request.choice_count > 1:
        return "the request asks for several choices"
    if request.requirements.capabilities & _NO_TEXT:
        return "the answer is not only text"
    if request.mid_turn and not ensemble.tools:
        return "tool calls are under way"
    return None


def _ranked(ensemble: Ensemble, decision: Decision, scores: Scores, considered: NDArray[np.bool_]) -> list[_Ranked]:
    """The models that may be members, the best first, each model once: its answers would agree under another name as well.

    A limit in USD cannot hold for a model whose price is not known.
    """
    compared = scores.compared(decision.policy, decision.switch)
    ranked = []
    for i in np.flatnonzero(considered & ~np.isnan(compared)).tolist():
        if decision.models[i] == ensemble.judge or (ensemble.max_usd is not None and not scores.priced[i]):
            continue
        p, usd = float(scores.p_correct[i]), float(scores.price_usd[i])
        member = Member(i, decision.models[i], p, weight(p), usd if scores.priced[i] else None)
        ranked.append(_Ranked(member, float(compared[i]), usd))
    ranked.sort(key=lambda one: (-round(one.compared / TIE), one.counted_usd, one.member.model))
    different: dict[str, _Ranked] = {}
    for one in ranked:
        different.setdefault(scores.embeddings[one.member.model] or one.member.name, one)
    return list(different.values())


def _asked(
    ensemble: Ensemble, decision: Decision, scores: Scores, ranked: list[_Ranked]
) -> tuple[list[_Ranked], str | None]:
    """The models that are asked, the best first, or why one model answers."""
    if len(ranked) < 2:
        return [], "no other model can be asked"
    best = ranked[0]
    believed = float(scores.believed(decision.policy)[best.member.model])
    if believed >= ensemble.p_below:
        return [], f"the P(correct) of {best.member.name} is {believed:.2f}, not below p_below: {ensemble.p_below:g}"
    near = [one for one in ranked if best.compared - one.compared < ensemble.gap_below - TIE]
    if len(near) < 2:
        return [], (
            f"the P(correct) of every other model is {ensemble.gap_below:g} or more below the {believed:.2f} of {best.member.name}"
        )
    asked = _affordable(near, ensemble, _judge_usd(ensemble, decision))
    if len(asked) < 2:
        return [], f"max_usd: {ensemble.max_usd:g} is less than the expected price of two models"
    if ensemble.judge is None and _outvotes(asked):
        heaviest = max(asked, key=lambda one: one.member.weight).member
        return [], f"the vote of {heaviest.name} would outweigh those of all others together"
    return asked, None


def _judge_usd(ensemble: Ensemble, decision: Decision) -> float:
    """The price of a judge that writes the answer, USD, as if it answered the request itself.

    0 if it only compares answers, or if its price is not known: then it is not called where `max_usd` is set.
    """
    return (decision.price_of(ensemble.judge or "") or 0.0) if ensemble.aggregate == "fuse" else 0.0


def _affordable(near: list[_Ranked], ensemble: Ensemble, judge_usd: float) -> list[_Ranked]:
    """The best `size` models whose expected prices are within `max_usd` together; a model that is too dear is passed over."""
    left = float("inf") if ensemble.max_usd is None else ensemble.max_usd - judge_usd
    asked: list[_Ranked] = []
    for one in near:
        if len(asked) < ensemble.size and one.counted_usd <= left:
            asked.append(one)
            left -= one.counted_usd
    return asked


def _outvotes(asked: list[_Ranked]) -> bool:
    """True if one model's vote decides, whatever the others answer."""
    heaviest, *others = sorted((one.member for one in asked), key=lambda member: member.weight, reverse=True)
    alone = Ballot(0, heaviest.p_correct, heaviest.weight, Key("free", ""))
    return decided([alone], [other.weight for other in others])


def _why_several(members: tuple[Member, ...]) -> str:
    p_correct = [member.p_correct for member in members]
    span = f"P(correct) from {min(p_correct):.2f} to {max(p_correct):.2f}"
    return f"{len(members)} models are about equally likely to be right: {span}"
