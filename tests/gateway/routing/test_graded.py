"""`locus predict` predicts what graders of benchmarks say; the Python API and the gateway predict how well a user is served."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from gateway.commands.main import main
from router.model.serving import SPACE, Router
from tests.gateway.running import EMBEDDINGS, entry, gateway
from tests.router.datasets import tables, with_column, write_dataset

pytestmark = pytest.mark.anyio

PROMPT = "Rewrite more politely: send me the file now"  # a request, no exam question
MODEL = EMBEDDINGS["llama-8b"]


@pytest.fixture(scope="module")
def router() -> Router:
    return Router.load()


def test_locus_predict_predicts_grades_and_the_python_api_does_not(router: Router, tmp_path: Path) -> None:
    queries = tables(8)["queries"]
    prompts = [PROMPT, *queries["prompt"].to_pylist()[1:]]
    asked = with_column(with_column(queries, "prompt", prompts), "split", ["test"] * 8)
    write_dataset(tmp_path, 8, queries=asked)
    out = tmp_path / "predictions.parquet"
    done = CliRunner().invoke(main, ["predict", str(tmp_path), "--space", str(SPACE), "--out", str(out)])
    assert done.exit_code == 0, done.output
    models = router.space.models
    written = pq.read_table(out)["p"].to_numpy().reshape(len(prompts), len(models))
    graded = router.scorer(models).predict(router.encoder.encode(prompts), graded=True)
    np.testing.assert_allclose(written, graded.p_correct, atol=1e-5)
    served = router.predict(prompts)
    assert (served.familiarity <= graded.familiarity).all()
    assert served.familiarity[0] < 0.1
    assert np.abs(served.p_correct[0] - written[0]).max() > 0.05


async def test_the_gateway_predicts_how_well_a_user_is_served(router: Router, tmp_path: Path) -> None:
    async with gateway(tmp_path, [entry("llama-8b", "http://127.0.0.1:1/v1")]) as run:
        body = {"model": "auto", "messages": [{"role": "user", "content": PROMPT}]}
        decision = (await run.http.post("/v1/route", json=body)).json()
    found = decision["candidates"][0]["p_correct"]
    q = router.encoder.encode([PROMPT])
    graded = router.scorer([MODEL]).predict(q, graded=True).p_correct[0, 0]
    assert found == pytest.approx(router.predict([PROMPT], [MODEL]).p_correct[0, 0], abs=1e-3)
    assert abs(found - graded) > 0.02
