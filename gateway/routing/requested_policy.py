"""Finds the policy that a request asks for, by its model name and by its overrides."""

from collections.abc import Collection
from dataclasses import replace

from gateway.config.access import Allowed
from gateway.config.ensemble import Ensemble
from gateway.config.portfolio import Portfolio
from gateway.core.errors import InvalidRequest, ModelNotAllowed, UnknownModel
from gateway.core.vocabulary import ENCODER
from gateway.request.chat_request import ChatRequest, Overrides
from gateway.request.model_names import did_you_mean, not_allowed, unknown_model
from gateway.routing.decision import AUTO
from router.model.policy import Policy, Rule

ENSEMBLE = "x-locus-ensemble"


def requested_policy(portfolio: Portfolio, request: ChatRequest) -> Policy:
    """The policy for a request that names no model of the portfolio.

    `auto` is the default policy, `auto:cheap` the policy `cheap`; the overrides may name another one, or change its rule. For a
    key that may not use the default policy, `auto` is the first one that it may use.

    Raises:
        ModelNotAllowed: the key of the request may not use the policy, or not change its numbers.
        UnknownModel: the portfolio has no such model or policy.
        InvalidRequest: the request names an embedding model.
    """
    overrides, model = request.overrides, request.model
    allowed = overrides.allowed
    if model == AUTO:
        policy = portfolio.policies[default_policy(portfolio, allowed)]
    elif model.startswith(f"{AUTO}:"):
        policy = _named(portfolio, allowed, model[len(AUTO) + 1 :], "model", f"{AUTO}:")
    elif model == ENCODER or any(model == one.name for one in portfolio.embedding_models):
        raise InvalidRequest(f"`{model}` is an embedding model, for /v1/embeddings only.", param="model")
    else:
        names = [one.name for one in portfolio.models if allowed.model(one.name)]
        known = [*names, AUTO, *(f"{AUTO}:{policy}" for policy in portfolio.policies if allowed.policy(policy))]
        raise unknown_model(model, known, "GET /v1/models lists the models; `auto` lets the gateway choose one.")
    if overrides.policy is not None:
        policy = _named(portfolio, allowed, overrides.policy, "x-locus-policy")
    if allowed.policies is not None and (overrides.rule is not None or overrides.min_p_correct is not None):
        raise ModelNotAllowed(f"The key may not change the numbers of a policy. {_its_policies(allowed)}")
    return adjusted(policy, overrides.rule, overrides.min_p_correct)


def adjusted(policy: Policy, rule: tuple[Rule, float] | None, min_p_correct: float | None) -> Policy:
    """The policy with the rule and the minimum of a request; None: its own."""
    if rule is not None:
        policy = replace(policy, rule=rule[0], value=rule[1])
    if min_p_correct is None:
        return policy
    if policy.rule == "min_p_correct":
        return replace(policy, value=min_p_correct)
    return replace(policy, min_p_correct=min_p_correct)


def requested_ensemble(portfolio: Portfolio, request: ChatRequest, policy: Policy | None) -> Ensemble | None:
    """How several models may answer a request together: by its overrides, else by its policy; None if one model answers.

    Args:
        policy: the policy of the request; None if it names a model.

    Raises:
        InvalidRequest: the request asks for an ensemble and names a model, or asks for more models than the policy allows calls.
        ModelNotAllowed: the key of the request may not change the ensemble of a policy.
    """
    wish, allowed = request.overrides.ensemble, request.overrides.allowed
    if policy is None:
        if wish:
            message = "Several models answer only where the gateway chooses them: name `auto` or a policy."
            raise InvalidRequest(message, param=ENSEMBLE)
        return None
    own = portfolio.ensembles.get(policy.name)
    if wish is None or wish is False:
        return own if wish is None else None
    ensemble = own or Ensemble()
    if wish is not True:
        ensemble = ensemble.of_size(wish) if own else Ensemble(size=wish, max_calls=2 * wish)
    if ensemble != own and allowed.policies is not None:
        raise ModelNotAllowed(
            f"The key may not change the ensemble of a policy, except to switch it off. {_its_policies(allowed)}",
            param=ENSEMBLE,
        )
    if ensemble.max_calls < ensemble.least_calls:
        message = (
            f"{wish} models need {ensemble.least_calls} calls; the policy `{policy.name}` allows {ensemble.max_calls}."
        )
        raise InvalidRequest(message, param=ENSEMBLE)
    return ensemble


def policy_name(portfolio: Portfolio, request: ChatRequest) -> str:
    """The name of a request's policy, which need not exist; the default one if the request names a model.

    Raises:
        ModelNotAllowed: as `default_policy`.
    """
    overrides, model = request.overrides, request.model
    if overrides.policy is not None:
        return overrides.policy
    if model == AUTO:
        return default_policy(portfolio, overrides.allowed)
    return model[len(AUTO) + 1 :] if model.startswith(f"{AUTO}:") else portfolio.default_policy


def check_model_names(overrides: Overrides, names: Collection[str]) -> None:
    """Checks the models that a client allows and excludes.

    Args:
        names: the names of the portfolio's models.

    Raises:
        UnknownModel: one of them is not in the portfolio.
        ModelNotAllowed: the key may not use a model that the client allows.
    """
    for asked, param in ((overrides.allow, "x-locus-allow"), (overrides.exclude, "x-locus-exclude")):
        for name in asked or ():
            if name not in names:
                raise unknown_model(name, names, param=param)
    for name in overrides.allow or ():
        if not overrides.allowed.model(name):
            raise not_allowed(name, overrides.allowed, "x-locus-allow")


def default_policy(portfolio: Portfolio, allowed: Allowed) -> str:
    """The name of the policy that `auto` uses.

    Raises:
        ModelNotAllowed: the key may use none.
    """
    for name in (portfolio.default_policy, *(allowed.policies or ())):
        if allowed.policy(name) and name in portfolio.policies:
            return name
    raise ModelNotAllowed(f"The key may not use `{AUTO}`: name a model.", param="model")


def _its_policies(allowed: Allowed) -> str:
    return f"Its policies: {', '.join(f'`{name}`' for name in allowed.policies or ()) or 'none'}."


def _named(portfolio: Portfolio, allowed: Allowed, name: str, param: str, prefix: str = "") -> Policy:
    if not allowed.policy(name):
        raise ModelNotAllowed(f"The key may not use the policy `{name[:64]}`. {_its_policies(allowed)}", param=param)
    policy = portfolio.policies.get(name)
    if policy is None:
        known = ", ".join(f"{prefix}{policy}" for policy in portfolio.policies)
        close = did_you_mean(name, portfolio.policies)
        raise UnknownModel(f"There is no policy `{name}`{close} There are {known}.", param=param)
    return policy
