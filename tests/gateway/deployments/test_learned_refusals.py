from gateway.deployments.learned_refusals import LEARNED_S, LearnedRefusals


def test_names_are_believed_for_an_hour_after_they_were_last_noted() -> None:
    now = 0.0
    learned = LearnedRefusals(lambda: now)
    assert learned.names == frozenset()
    learned.note("seed")
    now = LEARNED_S / 2
    learned.note("user")
    assert learned.names == {"seed", "user"}
    now = LEARNED_S
    assert learned.names == {"user"}
    learned.note("user")
    now = 1.5 * LEARNED_S
    assert learned.names == {"user"}
    now = 2 * LEARNED_S
    assert learned.names == frozenset()
