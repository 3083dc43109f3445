from dataclasses import replace
from typing import Any

import pytest

from gateway.config.ensemble import Ensemble
from gateway.ensemble.plan import plan
from gateway.ensemble.vote import weight
from gateway.routing.decision import Decision, Switch
from router.model.policy import Policy
from tests.gateway.ensemble.decisions import ASK, decision, planned, request

TOOL_CALL = {"id": "1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
MID_TURN = [
    *ASK,
    {"role": "assistant", "content": None, "tool_calls": [TOOL_CALL]},
    {"role": "tool", "tool_call_id": "1", "content": "neon"},
]


def names(p_correct: list[float], *args: Any, **more: Any) -> tuple[str, str]:
    """The members and the spare models, one letter each."""
    made = planned(p_correct, *args, **more)
    return "".join(one.name for one in made.members), "".join(one.name for one in made.spare)


def why_one(p_correct: list[float], *args: Any, **more: Any) -> str:
    made = planned(p_correct, *args, **more)
    assert not made.members
    return made.reason


def test_the_most_probable_models_are_asked_and_the_others_are_spare() -> None:
    made = planned([0.5, 0.7, 0.6, 0.65, 0.62], usd=[1.0, 2.0, None, 4.0, 5.0])
    assert [one.name for one in made.members] == ["b", "d", "e"]
    assert [one.name for one in made.spare] == ["c", "a"]
    assert [one.model for one in made.members] == [1, 3, 4]
    assert [one.usd for one in (*made.members, *made.spare)] == [2.0, 4.0, 5.0, None, 1.0]
    assert [one.p_correct for one in made.members] == pytest.approx([0.7, 0.65, 0.62])
    assert [one.weight for one in made.members] == [weight(one.p_correct) for one in made.members]
    assert "P(correct) from 0.62 to 0.70" in made.reason


def test_of_equally_probable_models_the_cheaper_comes_first() -> None:
    assert names([0.6, 0.6, 0.6, 0.6], usd=[3.0, 2.0, 2.0, 1.0]) == ("dbc", "a")


def test_only_models_that_the_policy_may_choose_are_asked() -> None:
    assert names([0.7, 0.69, 0.68, 0.67], left_out=(1,)) == ("acd", "")
    assert names([0.7, 0.68, 0.64, 0.6], policy=Policy("near", "max_loss", 0.07)) == ("abc", "")
    assert names([0.7, float("nan"), 0.68, 0.67]) == ("acd", "")


def test_the_judge_is_no_member_and_no_spare_model() -> None:
    assert names([0.7, 0.69, 0.68, 0.67], Ensemble(size=2, judge="b")) == ("ac", "d")


def test_models_far_below_the_best_are_spare_only() -> None:
    assert names([0.7, 0.65, 0.6, 0.5], Ensemble(gap_below=0.15)) == ("abc", "d")
    assert names([0.7, 0.65, 0.6, 0.5], Ensemble(gap_below=0.25, size=4)) == ("abcd", "")
    # 0.15 below is not less than 0.15 below
    assert why_one([0.75, 0.6]) == "the P(correct) of every other model is 0.15 or more below the 0.75 of a"


def test_a_probable_answer_is_not_compared() -> None:
    assert why_one([0.86, 0.84, 0.83]) == "the P(correct) of a is 0.86, not below p_below: 0.85"
    assert names([0.86, 0.84, 0.83], Ensemble(p_below=0.9)) == ("abc", "")
    cautious = Policy("careful", caution=1.0)  # believes 0.76
    assert names([0.86, 0.84, 0.83], policy=cautious, errors=[0.1, 0.1, 0.1]) == ("abc", "")


def test_a_policy_ranks_by_what_it_believes_and_votes_count_by_p() -> None:
    made = planned([0.8, 0.75, 0.7], policy=Policy("careful", caution=1.0), errors=[0.2, 0.1, 0.03])
    assert [one.name for one in made.members] == ["c", "b", "a"]  # 0.67, 0.65, 0.60
    assert made.members[2].weight == pytest.approx(weight(0.8), abs=1e-6)


def test_a_conversation_keeps_its_model_among_the_members() -> None:
    kept = Switch(2, 0.05, 0.0, forbidden=False)
    assert names([0.7, 0.69, 0.66, 0.68], switch=kept) == ("cab", "d")


def test_a_vote_that_decides_alone_is_not_taken() -> None:
    # weights: 1.95, 0.76, 0.69
    assert why_one([0.83, 0.6, 0.58], Ensemble(gap_below=0.3)) == (
        "the vote of a would outweigh those of all others together"
    )
    assert names([0.83, 0.6, 0.58], Ensemble(gap_below=0.3, judge="d")) == ("abc", "")  # the judge may prefer another
    assert why_one([0.7, 0.69]).startswith("the vote of a")  # of two, the heavier decides
    assert names([0.4, 0.39, 0.38]) == ("abc", "")  # no vote has a weight, so that their number decides


def test_max_usd_bounds_the_expected_price_of_all_members() -> None:
    prices: list[float | None] = [0.03, 0.02, 0.04, 0.01]
    p = [0.7, 0.69, 0.68, 0.67]
    assert names(p, Ensemble(max_usd=0.095), usd=prices) == ("abc", "d")
    assert names(p, Ensemble(max_usd=0.065), usd=prices) == ("abd", "c")  # c is too dear
    assert why_one(p, Ensemble(max_usd=0.035), usd=prices) == (
        "max_usd: 0.035 is less than the expected price of two models"
    )
    assert names(p, Ensemble(max_usd=9), usd=[0.03, None, 0.04, 0.01]) == ("acd", "")  # no limit can hold for b
    fused = Ensemble(max_usd=0.095, aggregate="fuse", judge="c")  # whose answer costs 0.04
    assert names(p, fused, usd=prices) == ("ab", "d")


def test_cheap_first_changes_the_order_and_not_the_members() -> None:
    prices: list[float | None] = [0.03, 0.02, None, 0.01]
    assert names([0.7, 0.69, 0.68, 0.6], Ensemble(cheap_first=True), usd=prices) == ("bac", "d")


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"n": 2}, "the request asks for several choices"),
        ({"modalities": ["text", "audio"]}, "the answer is not only text"),
        ({"messages": MID_TURN}, "tool calls are under way"),
    ],
)
def test_requests_that_one_model_answers(fields: dict[str, Any], why: str) -> None:
    assert why_one([0.7, 0.69, 0.68], asked=request(**fields)) == why


def test_a_utility_call_is_answered_by_one_model() -> None:
    title = replace(request(), is_utility_call=True)
    assert why_one([0.7, 0.69, 0.68], asked=title) == "a chat front end makes this call by itself"


def test_tools_lets_several_models_answer_within_a_turn() -> None:
    under_way = Switch(1, 0.05, 0.0, forbidden=True)
    asked = request(messages=MID_TURN)
    assert names([0.7, 0.69, 0.68], Ensemble(tools=True), asked, switch=under_way) == ("bac", "")
    kept = Decision(
        ("a", "b"), Policy("panel"), 0, decision([0.7, 0.69]).scores, under_way
    )  # the policy could choose none
    assert plan(Ensemble(tools=True), kept, asked).members == ()


def test_a_named_model_answers_alone() -> None:
    assert plan(Ensemble(), Decision(("a", "b"), None, 0), request()).members == ()


def test_one_model_alone_is_no_ensemble() -> None:
    assert why_one([0.7, 0.69], left_out=(1,)) == "no other model can be asked"


def test_one_model_under_two_names_is_asked_once() -> None:
    twins = planned([0.6, 0.6, 0.58, 0.57], embeddings="AABC", usd=[0.02, 0.01, 0.01, 0.01])
    assert [member.name for member in twins.members] == ["b", "c", "d"]  # the cheaper name
    assert twins.spare == ()
    assert planned([0.6, 0.6], embeddings="AA").members == ()
