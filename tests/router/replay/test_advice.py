import numpy as np
import pytest

from router.replay.advice import Advisor, Change, Traffic
from tests.router.dask_cluster import dask
from tests.router.replay.worlds import World, world

__all__ = ["dask"]


def traffic(made: World) -> Traffic:
    able = np.ones(made.p_correct.shape, np.bool_)
    return Traffic(made.p_correct, made.standard_error, made.price_usd, able, made.kinds)


def test_a_good_addition_is_found_and_costs_no_more() -> None:
    made = world(2_000, error=0.02, seed=3)
    advisor = Advisor(traffic(made), [0, 1, 5], 5.0)
    found = advisor.change(2, None)
    after = advisor.at_cost([0, 1, 2, 5], advisor.now.usd)
    assert found.helps
    assert found.kind == "add"
    assert after.usd <= advisor.now.usd * (1 + 1e-9)
    assert found.accuracy.value == pytest.approx(after.accuracy - advisor.now.accuracy)
    assert found.accuracy.sure < found.accuracy.value
    assert made.right(after.chosen) > made.right(advisor.now.chosen)
    assert found.usd > 0
    assert 0 < found.share < 1


def test_a_model_that_never_wins_gives_nothing() -> None:
    made = world(500)
    poor, dear = made.p_correct.copy(), made.price_usd.copy()
    poor[:, 3], dear[:, 3] = 0.01, 1.0
    able = np.ones(poor.shape, np.bool_)
    found = Advisor(Traffic(poor, made.standard_error, dear, able, made.kinds), [0, 2], 30.0).change(3, None)
    assert (found.accuracy.value, found.accuracy.sure, found.usd, found.share, found.helps) == (0, 0, 0, 0, False)


def test_a_removal_loses_what_only_that_model_gave() -> None:
    made = world(1_000, error=0.02)
    advisor = Advisor(traffic(made), [0, 3, 5], 5.0)
    found = {change.removed: change for change in advisor.changes([]) if change.kind == "remove"}
    assert set(found) == {0, 3, 5}
    assert found[5].accuracy.value < -0.02
    assert not any(change.helps for change in found.values())


def test_uncertain_predictions_and_few_requests_give_no_advice() -> None:
    sure = world(2_000, error=0.02, seed=3)
    few = world(40, error=0.02, seed=3)
    vague = Traffic(
        *(traffic(sure).p_correct, sure.standard_error * 20, sure.price_usd), traffic(sure).able, sure.kinds
    )
    assert Advisor(traffic(sure), [0, 1, 5], 5.0).change(2, None).helps
    assert not Advisor(vague, [0, 1, 5], 5.0).change(2, None).helps
    assert not Advisor(traffic(few), [0, 1, 5], 5.0).change(2, None).helps


def test_what_no_model_can_serve_counts_as_wrong_and_a_model_that_can_as_a_gain() -> None:
    made = world(400)
    able = np.ones(made.p_correct.shape, np.bool_)
    able[:200, :2] = False  # images, say
    advisor = Advisor(Traffic(made.p_correct, made.standard_error, made.price_usd, able, made.kinds), [0, 1], 0.0)
    assert (advisor.now.chosen[:200] == -1).all()
    assert advisor.now.accuracy < 0.5
    assert (advisor.routed([0, 1, 2], 0.0).chosen[:200] == 2).all()


def test_replacements_are_tried_for_the_best_additions_only() -> None:
    made = world(300)
    found = Advisor(traffic(made), [0, 1], 30.0).changes([2, 3, 4], best=2)
    kinds = [change.kind for change in found]
    assert (kinds.count("add"), kinds.count("remove"), kinds.count("replace")) == (3, 2, 4)
    best = sorted((change for change in found if change.kind == "add"), key=lambda change: -change.accuracy.sure)[:2]
    assert {change.added for change in found if change.kind == "replace"} == {change.added for change in best}


@pytest.mark.slow
def test_every_engine_gives_the_same_changes(dask: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "2")
    monkeypatch.setattr("router.replay.advice.CHANGES_OF_A_JOB", 1)
    made = world(300)
    advisor = Advisor(traffic(made), [1, 4], 30.0)
    alone = advisor.changes([0, 2, 3, 5], best=2)
    monkeypatch.setattr("router.replay.advice.FEWEST_JOBS", 2)
    assert advisor.changes([0, 2, 3, 5], best=2) == alone
    assert advisor.changes([0, 2, 3, 5], best=2, engine=dask) == alone


def test_a_part_of_the_traffic_gives_what_the_whole_gives() -> None:
    advisor = Advisor(traffic(world(300)), [1, 4], 30.0)
    for change in advisor.changes([0, 2, 3, 5], best=2):
        whole = advisor.change(change.added, change.removed)
        assert (change.kind, change.cost_weight, change.share) == (whole.kind, whole.cost_weight, whole.share)
        assert change.accuracy.value == pytest.approx(whole.accuracy.value)
        assert change.accuracy.sure == pytest.approx(whole.accuracy.sure)
        assert change.usd == pytest.approx(whole.usd)


def test_nine_in_ten_additions_that_are_named_are_right() -> None:
    named: list[tuple[Change, float]] = []
    for seed in range(60):
        made = world(800, 7, error=0.04, seed=seed)
        rng = np.random.default_rng(seed)
        left_out, *present = rng.choice(7, 4, replace=False).tolist()
        advisor = Advisor(traffic(made), present, float(rng.choice([0.0, 10.0, 60.0])))
        found = advisor.change(left_out, None)
        after = advisor.at_cost([*present, left_out], advisor.now.usd)
        if found.helps:
            named.append((found, made.right(after.chosen) - made.right(advisor.now.chosen)))
    right = sum(truth > 0 for _, truth in named)
    assert len(named) >= 15
    assert right >= 0.9 * len(named)


def test_a_difference_is_as_sure_as_the_sample_of_requests_is_large() -> None:
    n = 400
    p = np.zeros((n, 2), np.float32)
    p[::2, 1] = 1.0  # certain predictions: the second model is right on every other request, the first on none
    made = Traffic(
        p_correct=p,
        standard_error=np.zeros_like(p),
        price_usd=np.ones((n, 2)),
        able=np.ones((n, 2), np.bool_),
        kinds=np.zeros(n, np.int64),
    )
    drawn = Advisor(made, [0], 0.0).drawn(np.ones(n, np.int64), np.zeros(n, np.int64))
    assert drawn.mean() == pytest.approx(0.5, abs=0.01)
    assert drawn.std() == pytest.approx(0.5 / n**0.5, rel=0.2)
