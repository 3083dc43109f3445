"""Answers to probes become embeddings: alone, net of known difficulty, or together with those of other models."""

from dataclasses import replace

import numpy as np
import pytest

from gateway.onboarding.fitting import Fitting, Known
from router.probes.probe import Probe
from tests.gateway.onboarding.skilled_provider import chance, numbers_bank
from tests.gateway.running import shipped_router

BANK = numbers_bank({"mathematics": 20, "shop": 20, "code": 20})
UNKNOWN = Known("one-of-a-kind", None)


def scores(model: str, skill: float, probes: list[Probe]) -> dict[str, float]:
    return {probe.id: float(chance(model, probe.id) < skill) for probe in probes}


def mean_p(fitting: Fitting, given: dict[str, dict[str, float]], known: dict[str, Known]) -> dict[str, float]:
    router, fitted = shipped_router(), fitting.fit(given, known)
    queries = [probe.query for probe in BANK]
    return {name: float(router.predict(queries, [one.embedding]).p_correct.mean()) for name, one in fitted.items()}


def test_a_bank_whose_difficulty_is_known_needs_no_other_model() -> None:
    hard = [replace(probe, difficulty=-0.4, known_models=20) for probe in BANK]
    given = {"new": scores("new", 0.4, BANK)}
    plain, net = Fitting(shipped_router(), BANK, []), Fitting(shipped_router(), hard, [])
    assert (plain.joint, net.joint) == (True, False)
    known = {"new": UNKNOWN}
    assert mean_p(net, given, known)["new"] > mean_p(plain, given, known)["new"] + 0.1


def test_models_are_placed_by_what_the_others_say_of_the_probes() -> None:
    """Two models were asked different halves. One half is hard, as the models show that were asked both."""
    hard, easy = BANK[::2], BANK[1::2]
    fitting = Fitting(shipped_router(), BANK, [])
    both = {f"b{i}": scores(f"b{i}", 0.25, hard) | scores(f"b{i}", 0.85, easy) for i in range(4)}
    one, other = scores("one", 0.5, hard), scores("other", 0.5, easy)
    known = {name: Known(name, None) for name in (*both, "one", "other")}
    p = mean_p(fitting, {**both, "one": one, "other": other}, known)
    alone = [mean_p(fitting, {name: of}, known)[name] for name, of in (("one", one), ("other", other))]
    assert p["one"] - p["other"] > alone[0] - alone[1] + 0.05


def test_two_models_of_a_portfolio_may_be_one_of_the_space() -> None:
    space = shipped_router().space
    row = space.embeddings.row(space.models.index("meta-llama/Llama-3.1-8B-Instruct"))
    known = dict.fromkeys(("a", "b"), Known("meta-llama/Llama-3.1-8B-Instruct", row))
    fitted = Fitting(shipped_router(), BANK, []).fit({"a": scores("a", 0.1, BANK), "b": scores("b", 0.9, BANK)}, known)
    at = shipped_router().predict([probe.query for probe in BANK], [fitted["a"].embedding, fitted["b"].embedding])
    assert at.p_correct[:, 0].mean() < at.p_correct[:, 1].mean()


def test_the_error_falls_with_the_answers_and_is_that_of_the_traffic() -> None:
    traffic = list(shipped_router().encoder.encode([probe.query for probe in BANK[:20]]))
    fitting, known = Fitting(shipped_router(), BANK, traffic), {"new": UNKNOWN}
    errors = [fitting.fit({"new": scores("new", 0.5, BANK[:n])}, known)["new"].error for n in (8, 60)]
    assert errors[0] > errors[1]
    fitted = fitting.fit({"new": scores("new", 0.5, BANK)}, known)["new"]
    expected = shipped_router().predict(np.stack(traffic), [fitted.embedding]).standard_error.mean()
    assert fitted.error == pytest.approx(float(expected))


def test_answers_to_probes_that_the_bank_no_longer_has_do_not_count() -> None:
    fitting, known = Fitting(shipped_router(), BANK, []), {"new": UNKNOWN}
    assert fitting.fit({"new": {"gone": 1.0}}, known) == {}
    given = scores("new", 0.5, BANK[:10])
    one, other = fitting.fit({"new": given}, known), fitting.fit({"new": given | {"gone": 1.0}}, known)
    assert one["new"].embedding.evaluations == other["new"].embedding.evaluations == 10
    assert fitting.next_probes([*(probe.id for probe in BANK), "gone"], 8, None) == []
