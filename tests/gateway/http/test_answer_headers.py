"""Headers of answers as functions of their arguments."""

import numpy as np

from gateway.config.portfolio import Model
from gateway.config.price import FREE
from gateway.deployments.live import LiveModel
from gateway.http.answer_headers import MAX_VALUES, answer_headers, batch_headers, header_fields
from gateway.request.requirements import Requirements
from gateway.routing.candidate import Candidate
from gateway.routing.decision import Decision, Scores
from router.model.policy import Policy


def live(name: str) -> LiveModel:
    return LiveModel(Model(name, (), embedding=None, price=FREE, context_window=1000), ())


NAMED = Decision(("llama-8b", "mistral-7b"), None, 0)


def test_a_named_model_has_only_its_name_and_the_overhead() -> None:
    headers = answer_headers(NAMED, Candidate(live("llama-8b")), (), 0.00123, simulated=False)
    assert headers == [(b"x-locus-model", b"llama-8b"), (b"x-locus-overhead-ms", b"1.23")]


def test_a_stand_in_is_described() -> None:
    stand_in = Candidate(live("mistral-7b"), stand_in=True, distance=0.25, predicted_loss=-0.0125)
    headers = answer_headers(NAMED, stand_in, ("logprobs", "seed"), 0.0, simulated=True)
    assert headers[2:] == [
        (b"x-locus-stand-in", b"mistral-7b"),
        (b"x-locus-stand-in-distance", b"0.2500"),
        (b"x-locus-stand-in-predicted-loss", b"-0.0125"),
        (b"x-locus-left-out", b"logprobs, seed"),
        (b"x-locus-simulated", b"true"),
    ]
    assert header_fields(headers) == {
        "model": "llama-8b",
        "overhead_ms": 0.0,
        "stand_in": "mistral-7b",
        "stand_in_distance": 0.25,
        "stand_in_predicted_loss": -0.0125,
        "left_out": "logprobs, seed",
        "simulated": True,
    }


def test_a_minimum_that_the_chosen_model_misses_is_named() -> None:
    scores = Scores(
        np.array([0.5, 0.75], np.float32),
        np.zeros(2, np.float32),
        np.zeros(2),
        np.ones(2, np.bool_),
        np.ones(2, np.bool_),
        familiarity=1.0,
        requirements=Requirements(frozenset(), 1, None),
    )
    for minimum, headers in ((0.8, [(b"x-locus-min-p-correct-missed", b"0.8")]), (0.75, [])):
        decision = Decision(NAMED.models, Policy("enough", "min_p_correct", minimum), 1, scores)
        answered = answer_headers(decision, Candidate(live("mistral-7b")), (), 0.0, simulated=False)
        assert [header for header in answered if b"min-p-correct" in header[0]] == headers
        assert header_fields(headers) == ({"min_p_correct_missed": 0.8} if headers else {})


def test_fields_are_made_of_the_gateways_own_headers_only() -> None:
    assert header_fields([(b"content-type", b"text/plain"), (b"x-locus-p-correct", b"0.7500")]) == {"p_correct": 0.75}


def test_values_that_differ_in_a_batch_become_a_list_in_order() -> None:
    one = [(b"x-locus-model", b"a"), (b"x-locus-overhead-ms", b"9.99"), (b"x-locus-policy", b"best")]
    two = [(b"x-locus-model", b"b"), (b"x-locus-policy", b"best"), (b"x-locus-p-correct", b"0.5")]
    assert batch_headers([one, two, one], 0.002) == [
        (b"x-locus-overhead-ms", b"2.00"),
        (b"x-locus-model", b"a, b"),
        (b"x-locus-policy", b"best"),
    ]


def test_a_list_of_a_batch_is_limited() -> None:
    many = [[(b"x-locus-model", b"m%d" % number)] for number in range(MAX_VALUES + 5)]
    value = dict(batch_headers(many, 0.0))[b"x-locus-model"]
    assert value.split(b", ") == [b"m%d" % number for number in range(MAX_VALUES)]
