"""The reasons for a choice and against the other models, in plain English with their numbers. Knows no HTTP."""

from collections.abc import Callable, Sequence

import numpy as np

from gateway.routing.decision import Decision
from router.model.policy import BEST_QUALITY, P_OF_A_STEP, TIE, Choice, Policy, best_model

_DECIMALS = range(2, 7)  # of a probability
_DIGITS = range(2, 6)  # of a price
UNFAMILIAR = 0.5  # a prompt of lower familiarity is mostly predicted by its difficulty and the general abilities


class Reasons:
    """The reasons of a decision that has scores.

    Its numbers are those that the policy compared: of P(correct), it may take off standard errors or the price of a switch.

    Attributes:
        decision, scores: the decision, and its scores.
        best: index of the considered model with the highest P(correct); the chosen one if the policy considered none.

    Raises:
        ValueError: the decision has no scores.
    """

    def __init__(self, decision: Decision) -> None:
        if decision.scores is None:
            raise ValueError("a decision without scores has no reasons")
        self.decision = decision
        self.scores = decision.scores
        self._names = decision.models
        # What the policy compared, each (M,), float64.
        self._p = decision.scores.compared(decision.policy, decision.switch).astype(np.float64)
        self._usd = decision.scores.price_usd
        self._utility = self._p - decision.cost_weight * self._usd
        choice = decision.choice
        self.best = decision.chosen if choice is None else best_model(choice.considered, self._p, self._usd)
        self._error = float(decision.scores.standard_error[self.best])

    def of_choice(self) -> list[str]:
        """Why the chosen model was chosen: the rule and its numbers, then what else counted."""
        decision, policy = self.decision, self.decision.policy
        if policy is None:
            return ["the request names this model"]
        why = []
        if decision.kept and decision.switch is not None and decision.switch.forbidden:
            why.append("its tool calls are under way, so no other model may answer")
        elif decision.kept:
            why.append(f"the conversation keeps its model: no other one is worth it, since {self._switch_price()}")
        elif decision.choice is not None:
            why += self._of_rule(policy, decision.choice)
            if decision.switch is not None:
                left = self._names[decision.switch.model]
                why.append(f"the conversation leaves {left}: the gain is worth it, although {self._switch_price()}")
        if decision.kept and decision.missed_minimum is not None:
            why.append(f"this model does not reach the minimum P(correct) of {decision.missed_minimum:g}")
        if decision.cost_factor != 1.0:
            less = policy.rule == "max_loss"
            counts = (
                "a model may be worse by more than usual"
                if less
                else f"the price counts {decision.cost_factor:g} times"
            )
            why.append(f"a budget of the key is nearly spent, so that {counts}")
        if policy.caution:
            why.append(f"from each P(correct), {policy.caution:g} times its standard error is taken off")
        if self.scores.familiarity is not None and self.scores.familiarity < UNFAMILIAR:
            why.append(
                "the prompt is unlike the evaluated ones: P(correct) follows from how difficult it looks and from the general "
                "ability of each model"
            )
        return why

    def against(self, model: int) -> str:
        """Why a model that could have been chosen was not."""
        decision, policy, choice = self.decision, self.decision.policy, self.decision.choice
        chosen = self._names[decision.chosen]
        if policy is None:
            return "the request names another model"
        if choice is None or choice.model != decision.chosen:
            return f"the tool calls of {chosen} are under way"
        if not choice.considered[model]:
            low = choice.lowest is not None and self._p[model] < choice.lowest
            return self._below_limit(policy, choice, model) if low else "it cannot be called now"
        if policy.rule in ("max_loss", "min_p_correct"):
            return self._not_cheapest(model)
        difference = float(self._utility[decision.chosen] - self._utility[model])
        if difference <= TIE:
            return f"as good as {chosen}, and not cheaper"
        if decision.switch is not None and decision.kept and difference < decision.switch.p_correct:
            gain = decision.switch.p_correct - difference
            return f"better than {chosen} by {_short(gain)}, but {self._switch_price()}"
        if decision.cost_weight == 0:
            own, other = probabilities(self._p[model], self._p[decision.chosen])
            return f"{self._verb(model)} {own}, lower than the {other} of {chosen}"
        own, other = self._sums(model, decision.chosen)
        return f"{own}, less than the {other.rpartition(' ')[2]} of {chosen}"

    def _of_rule(self, policy: Policy, choice: Choice) -> list[str]:
        why = []
        if not choice.reached:
            best, minimum = probabilities(self._p[self.best], policy.minimum or 0.0)
            why.append(
                f"no model reaches the minimum P(correct) of {minimum}: the best is {self._names[self.best]} with {best}, so "
                f"only the models within one standard error of it are considered, which is {self._error:.2g}"
            )
        match policy.rule:
            case "max_loss":
                why.append(f"cheapest model within {policy.value:g} of the best: {self._beside_best(choice)}")
            case "min_p_correct" if choice.reached:
                why.append(
                    f"cheapest model with a P(correct) of at least {policy.value:g}: {self._beside_best(choice)}"
                )
            case "min_p_correct":
                why.append(f"cheapest of these models: {self._beside_best(choice)}")
            case _:
                why += self._of_utility(policy, choice)
        return why

    def _of_utility(self, policy: Policy, choice: Choice) -> list[str]:
        weight, chosen = self.decision.cost_weight, choice.model
        others = np.flatnonzero(choice.considered & (np.arange(len(self._p)) != chosen))
        following = int(others[np.argmax(self._utility[others])]) if len(others) else None
        both = [chosen] if following is None else [chosen, following]
        next_ = "" if following is None else f"; the next is {self._names[following]} with "
        if weight == 0:
            numbers = probabilities(*self._p[both])
            why = [f"highest P(correct): {self._names[chosen]} has {next_.join(numbers)}"]
        else:
            sums = self._sums(*both)
            head = f"highest P(correct) - {_short(weight)} * price in USD"
            why = [f"{head}: {self._names[chosen]} has {next_.join(sums)}"]
        if policy.rule == "quality":
            why.insert(0, f"quality {policy.value:g} of {BEST_QUALITY:g}: {self._quality(policy)}")
        return why

    def _quality(self, policy: Policy) -> str:
        weight = self.decision.cost_weight
        if weight == 0:
            same = "the models of this portfolio cost about the same"
            return "the price does not count" if policy.value == BEST_QUALITY else same
        gain = P_OF_A_STEP * max(1.0, BEST_QUALITY - policy.value)
        return (
            f"at the prices of this portfolio a model may cost {_positional(gain / weight, 2)} USD more if its P(correct) is "
            f"higher by {_short(gain)}, which is a cost weight of {_short(weight)}"
        )

    def _beside_best(self, choice: Choice) -> str:
        """The chosen model, and what the best one would cost."""
        name, best = self._names[choice.model], self._names[self.best]
        if choice.model == self.best:
            (p,), (price,) = probabilities(self._p[choice.model]), prices(self._usd[choice.model])
            return f"{name} is itself the best with {p}, and no cheaper model is good enough; it costs {price} USD"
        p, p_best = probabilities(self._p[choice.model], self._p[self.best])
        price, price_best = prices(self._usd[choice.model], self._usd[self.best])
        return f"the best is {best} with {p_best}; {name} has {p} and costs {price} USD instead of {price_best} USD"

    def _below_limit(self, policy: Policy, choice: Choice, model: int) -> str:
        """Why the policy did not consider a model: its P(correct) is too low."""
        own, best = probabilities(self._p[model], self._p[self.best])
        below_best = f"below the {best} of the best, {self._names[self.best]}"
        if choice.reached and policy.minimum is not None and self._p[model] < policy.minimum:
            own, minimum = probabilities(self._p[model], policy.minimum)
            return f"{self._verb(model)} {own}, below the minimum of {minimum}"
        if not choice.reached and self._p[model] < self._p[self.best] - self._error:
            return f"{self._verb(model)} {own}, more than one standard error ({self._error:.2g}) {below_best}"
        return f"{self._verb(model)} {own}, more than {policy.value:g} {below_best}"

    def _not_cheapest(self, model: int) -> str:
        chosen = self.decision.chosen
        own, other = probabilities(self._p[model], self._p[chosen])
        if self._usd[model] > self._usd[chosen]:
            price, price_chosen = prices(self._usd[model], self._usd[chosen])
            return f"good enough with {own}, but it costs {price} USD instead of {price_chosen} USD"
        return f"good enough and as cheap, but {self._verb(model)} {own} and that of {self._names[chosen]} {other}"

    def _sums(self, *models: int) -> list[str]:
        """P(correct), less the price by its weight, for each model: "0.880 - 10 * 0.0003 = 0.877"."""
        p = probabilities(*self._p[list(models)], *self._utility[list(models)], decimals=_DECIMALS[1:])
        price = prices(*self._usd[list(models)])
        weight = _short(self.decision.cost_weight)
        return [f"{p[i]} - {weight} * {price[i]} = {p[len(models) + i]}" for i in range(len(models))]

    def _verb(self, model: int) -> str:
        decision = self.decision
        counted = decision.policy is not None and decision.policy.caution > 0
        counted |= decision.switch is not None and decision.switch.model != model
        return "its P(correct) counts as" if counted else "its P(correct) is"

    def _switch_price(self) -> str:
        switch = self.decision.switch
        if switch is None:
            return ""
        lost = f" and {prices(switch.lost_cache_usd)[0]} USD for the lost prompt cache" if switch.lost_cache_usd else ""
        return f"a switch costs {_short(switch.p_correct)} of the others' P(correct){lost}"


def probabilities(*values: float, decimals: range = _DECIMALS) -> list[str]:
    """Probabilities as texts, with the decimals that tell them apart: 0.9041 and 0.9 are "0.904" and "0.900"."""
    return _told_apart(values, decimals, lambda value, number: f"{value:.{number}f}")


def prices(*values: float) -> list[str]:
    """Prices as texts, with the digits that tell them apart and without exponents: 0.00003 and 0.0121 are "0.00003" and "0.012"."""
    return _told_apart(values, _DIGITS, _positional)


def _told_apart(values: Sequence[float], precisions: range, text: Callable[[float, int], str]) -> list[str]:
    """The values as texts of the lowest precision at which values that differ look different."""
    texts: list[str] = []
    for precision in precisions:
        texts = [text(float(value), precision) for value in values]
        if len(set(texts)) == len(set(values)):
            break
    return texts


def _short(value: float) -> str:
    return _positional(value, 3)


def _positional(value: float, digits: int) -> str:
    return np.format_float_positional(value, precision=digits, unique=False, fractional=False, trim="-")
