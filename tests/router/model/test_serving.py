"""The Python API on the shipped checkpoint: predict, embed, neighbors, and what they refuse."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from router.encode.load import PRETRAINED
from router.errors import ArtifactError, DataError
from router.model.anchors import load_anchors
from router.model.checkpoint import CARD, WEIGHTS, load_checkpoint
from router.model.embedding import Embedding
from router.model.serving import Router

MODELS = ["openai/gpt-4o-2024-08-06", "Qwen/Qwen2-7B-Instruct"]
QUERIES = ["What is 17 + 25?", "In which country is Lima?", "Prove that 2 is prime."]
SUMS = [f"What is {a} + {a + 7}?" for a in range(64)]
CITIES = [f"In which country is the city number {a} of the atlas?" for a in range(64)]


@pytest.fixture(scope="module")
def router() -> Router:
    return Router.load()


@pytest.fixture(scope="module")
def adder(router: Router) -> Embedding:
    return router.embed([*SUMS, *CITIES], [1] * 64 + [0] * 64)


def test_predictions_have_one_row_per_query_and_one_column_per_model(router: Router) -> None:
    prediction = router.predict(QUERIES, MODELS)
    assert prediction.p_correct.shape == prediction.standard_error.shape == (3, 2)
    assert prediction.p_correct.dtype == np.float32
    assert prediction.familiarity.shape == (3,)
    assert ((prediction.p_correct > 0) & (prediction.p_correct < 1)).all()
    assert (prediction.p_correct[:, 0] > prediction.p_correct[:, 1]).all()


def test_predictions_are_those_that_the_gateway_uses(router: Router) -> None:
    q = router.encoder.encode(QUERIES)
    expected = router.scorer(MODELS).predict(q)
    for given in (QUERIES, q, q.astype(np.float64), np.array(QUERIES)):
        np.testing.assert_array_equal(router.predict(given, MODELS).p_correct, expected.p_correct)
        np.testing.assert_array_equal(router.predict(given, MODELS).standard_error, expected.standard_error)


def test_without_models_all_of_the_space_are_predicted_and_short_names_are_found(router: Router) -> None:
    everything = router.predict(QUERIES[:1]).p_correct
    assert everything.shape == (1, len(router.space.models))
    gpt = router.space.models.index("openai/gpt-4o-2024-11-20")  # the newest one
    # The width of a matrix product may change the last bit.
    np.testing.assert_allclose(router.predict(QUERIES[:1], ["gpt-4o"]).p_correct[0, 0], everything[0, gpt], rtol=1e-5)


def test_no_queries_give_no_rows(router: Router) -> None:
    assert router.predict([], MODELS).p_correct.shape == (0, 2)


def test_an_embedding_is_predicted_beside_names(router: Router, adder: Embedding) -> None:
    p = router.predict(QUERIES, [MODELS[0], adder, MODELS[1]]).p_correct
    np.testing.assert_allclose(p[:, [0, 2]], router.predict(QUERIES, MODELS).p_correct, rtol=1e-5)
    assert p[0, 1] > p[1, 1] + 0.1  # it adds correctly and knows no country
    others = p[1, 0] - p[1, 1]
    assert others > p[0, 0] - p[0, 1] + 0.05
    assert adder.evaluations == 128


def test_a_name_is_part_of_an_embedding(router: Router) -> None:
    strong, weak = (router.embed(SUMS[:6], [1, 1, 1, 0, 1, 1], name) for name in ("openai/gpt-5.4", "lab/tiny-1b"))
    assert strong.level > weak.level
    p = router.predict(QUERIES, [strong, weak]).p_correct
    assert (p[:, 0] > p[:, 1]).all()


def test_embedding_from_texts_encodings_and_any_order_is_the_same(router: Router, adder: Embedding) -> None:
    order = np.random.default_rng(0).permutation(128)
    y = np.array([True] * 64 + [False] * 64)
    again = router.embed(router.encoder.encode([*SUMS, *CITIES])[order], y[order])
    np.testing.assert_array_equal(again.z, adder.z)


def test_neighbors_of_a_name_leave_it_out_and_of_an_embedding_include_all(router: Router, adder: Embedding) -> None:
    of_name = router.neighbors("gpt-4o", k=3)
    assert len(of_name) == 3
    newest = "openai/gpt-4o-2024-11-20"
    assert newest not in [neighbor.model for neighbor in of_name]
    assert of_name == router.space.neighbors(newest, 3)
    everything = router.neighbors(adder, k=None)
    assert {neighbor.model for neighbor in everything} == set(router.space.models)
    nearest = everything[0]
    row = router.space.models.index(nearest.model)
    assert nearest.distance == pytest.approx(float(np.linalg.norm(router.space.z[row] - adder.z)), rel=1e-5)
    assert len(router.neighbors(adder)) == 10


def test_a_single_string_is_not_taken_for_a_list(router: Router) -> None:
    with pytest.raises(TypeError, match="texts is a single string"):
        router.predict("What is 2 + 2?", MODELS)
    with pytest.raises(TypeError, match="models is a single string"):
        router.predict(QUERIES, "gpt-4o")
    with pytest.raises(TypeError, match="texts is a single string"):
        router.embed("What is 2 + 2?", [1])


@pytest.mark.parametrize(
    ("texts", "scores", "says"),
    [
        ([], [], "encodings and"),
        (["a", "b"], [1.0], "2 texts, but scores of shape"),
        (["a", "b"], [[1.0], [0.0]], "2 texts, but scores of shape"),
        (["a", "b"], [1.0, 1.5], "score 1 is 1.5, expected a number from 0 to 1"),
        (["a", "b"], [float("nan"), 1.0], "score 0 is nan"),
        (np.zeros((2, 3)), [1.0, 1.0], "expected encodings of shape"),
    ],
)
def test_evaluations_that_are_none_are_refused(
    router: Router, texts: list[str], scores: list[float], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        router.embed(texts, scores)


def test_unknown_models_no_models_and_embeddings_of_other_widths_are_refused(router: Router, adder: Embedding) -> None:
    with pytest.raises(ArtifactError, match="'gpt-4oo'; close to it"):
        router.predict(QUERIES, [MODELS[0], "gpt-4oo"])
    with pytest.raises(ValueError, match="models is empty"):
        router.predict(QUERIES, [])
    narrow = replace(adder, z=adder.z[:64])
    with pytest.raises(ValueError, match="the embedding has the shapes"):
        router.predict(QUERIES, [narrow])
    with pytest.raises(ValueError, match="the embedding has the shapes"):
        router.neighbors(narrow)


def test_a_folder_and_a_space_may_be_given_as_text(tmp_path: Path) -> None:
    for name in (WEIGHTS, CARD, "space.safetensors"):
        shutil.copy(PRETRAINED / name, tmp_path)
    loaded = Router.load(str(tmp_path), [str(tmp_path / "space.safetensors")])
    assert loaded.space.models == Router.load().space.models
    with pytest.raises(ArtifactError, match="needs a model space"):
        Router.load(tmp_path)


def test_neighbours_on_a_kind_of_question_differ_from_those_over_all(router: Router) -> None:
    model = "openai/gpt-4o-2024-08-06"
    overall, on_maths = router.neighbors(model, None), router.neighbors(model, None, benchmark="math_l5")
    assert {n.model for n in overall} == {n.model for n in on_maths} == set(router.space.models) - {model}
    assert [n.distance for n in on_maths] == sorted(n.distance for n in on_maths)
    assert [n.model for n in overall[:20]] != [n.model for n in on_maths[:20]]
    anchors = load_anchors(load_checkpoint()).of(["math_l5"])
    nearest = on_maths[0]
    p = router.scorer([model, nearest.model]).predict(anchors.q, graded=True).p_correct
    assert nearest.distance == pytest.approx(float(np.sqrt(((p[:, 0] - p[:, 1]) ** 2).mean())), abs=1e-5)
    with pytest.raises(DataError, match="no anchor queries of benchmark nothing"):
        router.neighbors(model, benchmark="nothing")


def test_an_embedding_has_its_own_model_as_a_near_neighbour_on_a_kind_of_question(router: Router) -> None:
    rng = np.random.default_rng(0)
    texts = [f"What is {a} times {b}?" for a, b in rng.integers(2, 90, (40, 2))]
    embedding = router.embed(texts, np.ones(40), name="openai/gpt-4o-2024-08-06")
    found = router.neighbors(embedding, 5, benchmark="gsm8k")
    assert len(found) == 5
    assert found[0].distance < 0.2
