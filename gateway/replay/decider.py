"""Makes the decisions of logged requests again, with another portfolio or policy, by the code that decides requests.

What the record has of a request counts: its encoding, its tokens, the capabilities that it needs, and what its client and key
demanded. Failures of providers do not: each model with a deployment is taken to answer.
"""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from gateway.config.portfolio import Portfolio
from gateway.core.vocabulary import EXPECTED_OUTPUT_TOKENS
from gateway.deployments.live import LiveDeployments
from gateway.record.needs import Needs, unpack_needs
from gateway.record.predictions import unpack_query
from gateway.replay.logged import LoggedRequest
from gateway.routing.eligibility import Eligibility
from gateway.routing.model_tables import embeddings_by_setting, model_tables
from gateway.routing.placed_models import PlacedModels
from gateway.routing.requested_policy import adjusted
from router.model.model_table import ModelTable
from router.model.policy import Policy, choose_each, cost_weight, lower_bounds, saving


@dataclass(frozen=True, slots=True)
class Asked:
    """What is known of n requests.

    Attributes:
        q: encodings, (n, d_q), float32.
        needs: of each.
        policies: the name of the policy that decided each.
    """

    q: NDArray[np.float32]
    needs: Sequence[Needs]
    policies: Sequence[str]

    @classmethod
    def of(cls, rows: Sequence[LoggedRequest]) -> "Asked":
        """What the record has of requests that can be decided again; see `gateway.replay.reasons`."""
        q = [unpack_query(row.encoding or b"", row.surface or b"") for row in rows]
        needs = [unpack_needs(row.needs or {}) for row in rows]
        stacked = np.stack(q) if q else np.zeros((0, 0), np.float32)
        return cls(stacked, needs, [row.policy or "" for row in rows])


class Predicted(NamedTuple):
    """The predictions for n requests and M models.

    Attributes:
        p_correct, standard_error: (n, M), float32; NaN for a model without an embedding.
        kinds: see `Scorer.predict_by_kind`, (n,), int64.
    """

    p_correct: NDArray[np.float32]
    standard_error: NDArray[np.float32]
    kinds: NDArray[np.int64]


@dataclass(frozen=True)
class Decided:
    """The decisions for n requests among M models, in portfolio order.

    Attributes:
        p_correct, standard_error: (n, M), float32; NaN for a model without an embedding.
        price_usd: expected prices, (n, M), float64.
        able: the model can serve the request, and client and key allow it, (n, M), bool.
        kinds: see `Scorer.predict_by_kind`, (n,), int64.
        chosen: indexes of the chosen models, (n,), int64; -1: none can serve the request.
    """

    p_correct: NDArray[np.float32]
    standard_error: NDArray[np.float32]
    price_usd: NDArray[np.float64]
    able: NDArray[np.bool_]
    kinds: NDArray[np.int64]
    chosen: NDArray[np.int64]


class Decider:
    """Decides logged requests.

    Args:
        placed: the portfolio, with embeddings and states of its models.
        policy: decides all requests in place of the policy that each of them named; None: that policy, or the portfolio's default
            one if it has none of this name.

    Attributes:
        names: of the models.
        tables: of the models, by reasoning setting; see `model_tables`.
        kinds: number of kinds of request.
    """

    def __init__(self, placed: PlacedModels, policy: Policy | None = None) -> None:
        self.portfolio: Portfolio = placed.portfolio
        models = self.portfolio.models
        self.names = tuple(model.name for model in models)
        self._by_setting = embeddings_by_setting(models)
        self.tables = model_tables(models, placed.router)
        self._table = self.tables[None]
        self.kinds = self._table.kinds
        live = LiveDeployments(self.portfolio)
        self._eligibility = Eligibility(models, tuple(live.models[name] for name in self.names), live.clock)
        standings = [placed.standings[name] for name in self.names]
        self._chosen = np.array([not one.never_chosen for one in standings], np.bool_)
        self._caution = np.array([one.caution for one in standings], np.float32)
        self._policy = policy
        self._able: dict[tuple[object, ...], NDArray[np.bool_]] = {}
        self._policies: dict[tuple[object, ...], Policy] = {}

    def embedding(self, model: int, reasoning: str | None) -> str | None:
        """The name in the model space by which a model's P(correct) is predicted for a request with this setting."""
        return self._by_setting.get(reasoning, self._by_setting[None])[model]

    @property
    def embeddings(self) -> frozenset[str]:
        """All such names."""
        return frozenset(name for names in self._by_setting.values() for name in names if name is not None)

    def with_policy(self, policy: Policy) -> Self:
        """The same models with another policy for all requests: what is predicted for one holds for the other."""
        other = copy(self)
        other._policy = policy
        other._policies = {}
        return other

    def decide(self, asked: Asked) -> Decided:
        """Predicts and decides."""
        predicted = predict(self.tables, asked.q, [one.reasoning for one in asked.needs])
        return self.decide_predicted(predicted, asked.needs, asked.policies)

    def decide_predicted(self, predicted: Predicted, needs: Sequence[Needs], policies: Sequence[str]) -> Decided:
        """The decisions of requests whose predictions by `tables` are known.

        Args:
            needs, policies: as in `Asked`.
        """
        p, errors, kinds = predicted
        able = np.array([self._capable(one) for one in needs], np.bool_).reshape(p.shape)
        price = np.array([self._price(one) for one in needs]).reshape(p.shape)
        chosen = np.full(len(p), -1, np.int64)
        rows_of: dict[tuple[Policy, float], list[int]] = {}
        for i, (name, one) in enumerate(zip(policies, needs, strict=True)):
            rows_of.setdefault((self._policy_of(name, one), one.cost_factor), []).append(i)
        for (policy, factor), indexes in rows_of.items():
            rows = np.array(indexes, np.int64)
            paid = price[np.ix_(rows, self._table.embedded)]
            weights = np.array([cost_weight(policy, one, factor) for one in paid])
            believed = lower_bounds(p[rows], errors[rows], policy, self._caution)
            eligible = able[rows] & self._chosen
            chosen[rows] = choose_each(believed, errors[rows], price[rows], eligible, policy, weights)
        return Decided(p, errors, price, able & self._chosen, kinds, chosen)

    def _capable(self, needs: Needs) -> NDArray[np.bool_]:
        key = (
            needs.capabilities,
            needs.prompt_tokens,
            needs.output_tokens,
            needs.api,
            needs.models,
            needs.exclude,
        )
        if key not in self._able:
            if len(self._able) > 10_000:
                self._able.clear()
            # The record has names of that time's portfolio: what it allowed says nothing of models that it did not have.
            self._able[key] = self._eligibility.capable(needs.requirements) & self._eligibility.allowed(needs.overrides)
        return self._able[key]

    def _price(self, needs: Needs) -> NDArray[np.float64]:
        output_tokens = min(needs.output_tokens or EXPECTED_OUTPUT_TOKENS, EXPECTED_OUTPUT_TOKENS)
        return self._table.expected_usd(needs.prompt_tokens, output_tokens)

    def _policy_of(self, name: str, needs: Needs) -> Policy:
        key = name, needs.rule, needs.min_p_correct, needs.cost_factor
        if key not in self._policies:
            if len(self._policies) > 10_000:
                self._policies.clear()
            policies = self.portfolio.policies
            policy = self._policy or policies.get(name, policies[self.portfolio.default_policy])
            asked = adjusted(replace(policy, name=""), needs.rule, needs.min_p_correct)
            self._policies[key] = saving(asked, needs.cost_factor)
        return self._policies[key]


def predict(
    tables: Mapping[str | None, ModelTable], q: NDArray[np.float32], settings: Sequence[str | None]
) -> Predicted:
    """The predictions for n requests, each by the table for its reasoning setting.

    Args:
        tables: see `model_tables`.
        q: encodings, (n, d_q).
        settings: the reasoning settings that the requests asked for.
    """
    known = [setting if setting in tables else None for setting in settings]
    p, errors = np.full((2, len(q), len(tables[None].priced)), np.nan, np.float32)
    kinds = np.zeros(len(q), np.int64)
    for setting in dict.fromkeys(known):
        rows = np.array([i for i, one in enumerate(known) if one == setting], np.int64)
        p[rows], errors[rows], kinds[rows] = tables[setting].predict_each(q[rows])
    return Predicted(p, errors, kinds)


def predict_packed(
    tables: Mapping[str | None, ModelTable], packed: Sequence[tuple[bytes, bytes]], settings: Sequence[str | None]
) -> Predicted:
    """`predict` for encodings as they are in the record: the columns `encoding` and `surface`."""
    return predict(tables, np.stack([unpack_query(*one) for one in packed]), settings)
