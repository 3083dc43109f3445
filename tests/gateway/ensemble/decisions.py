"""Decisions over scores that a test writes down."""

from typing import Any

import numpy as np
import orjson

from gateway.config.ensemble import Ensemble
from gateway.ensemble.plan import Plan, plan
from gateway.request.chat_request import ChatRequest, parse_chat
from gateway.request.requirements import Requirements
from gateway.routing.decision import Decision, Scores, Switch
from router.model.policy import Policy, choose

BEST = Policy("panel")
ASK: list[Any] = [{"role": "user", "content": "Which of these is a noble gas? (A) Neon (B) Iron"}]


def request(messages: list[Any] = ASK, **fields: Any) -> ChatRequest:
    return parse_chat(orjson.dumps({"model": "auto:panel", "messages": messages} | fields))


def decision(
    p_correct: list[float],
    usd: list[float | None] | None = None,
    policy: Policy = BEST,
    errors: list[float] | None = None,
    left_out: tuple[int, ...] = (),
    switch: Switch | None = None,
    embeddings: str = "ABCDEFGHIJ",
) -> Decision:
    """What `policy` decides among models a, b, c, … with these P(correct), prices (None: not known) and standard errors.

    Args:
        embeddings: the name of each model in the model space, a letter.
    """
    count = len(p_correct)
    prices = [0.01] * count if usd is None else usd
    highest = max((price for price in prices if price is not None), default=0.0)
    eligible = np.array([i not in left_out for i in range(count)])
    scores = Scores(
        np.array(p_correct, np.float32),
        np.array(errors or [0.0] * count, np.float32),
        np.array([highest if price is None else price for price in prices], np.float64),
        np.array([price is not None for price in prices]),
        eligible,
        1.0,
        Requirements(frozenset(), 10, None),
        embeddings=tuple(embeddings[:count]),
    )
    choice = choose(scores.compared(policy, switch), scores.standard_error, scores.price_usd, eligible, policy)
    assert choice is not None
    return Decision(tuple("abcdefghij"[:count]), policy, choice.model, scores, switch, choice=choice)


def planned(
    p_correct: list[float], ensemble: Ensemble | None = None, asked: ChatRequest | None = None, **more: Any
) -> Plan:
    """The plan for models with these P(correct)."""
    return plan(ensemble or Ensemble(), decision(p_correct, **more), asked or request())
