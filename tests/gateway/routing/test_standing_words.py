"""How a model stands, in words."""

from gateway.model_versions.stored import Trial
from gateway.routing.standing import Standing

CAUTIOUS = "one more standard error is taken off its P(correct)"


def test_a_suspect_deployment_is_told_of_a_model_on_trial_too() -> None:
    trial = Trial(share=0.1, requests=200)
    both = Standing("limited", "onboarded", trial=trial, suspects=("a/0",))
    assert (
        both.why == f"on trial (onboarded): at most 10% of the requests, and {CAUTIOUS}; its deployment a/0 is suspect"
    )
    assert Standing("limited", "onboarded", trial=trial).why == both.why.partition(";")[0]
    assert Standing(suspects=("a/0", "a/1")).why == f"its deployment a/0, a/1 is suspect: {CAUTIOUS}"
