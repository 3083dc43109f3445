"""A serving process imports no package that only other commands need."""

import json
import subprocess
import sys

EXTRAS = {"torch", "scipy", "sklearn", "pyarrow", "matplotlib", "sentence_transformers", "transformers", "pandas"}


def loaded_after(code: str) -> set[str]:
    """The top-level packages that a fresh interpreter has imported after some code."""
    script = f"{code}\nimport json, sys\nprint(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_what_locus_serve_imports_needs_no_extra() -> None:
    code = "from gateway.commands.main import main; assert main.get_command(None, 'serve').name == 'serve'"
    assert not loaded_after(code) & EXTRAS


def test_a_prediction_and_its_evidence_need_no_extra() -> None:
    code = """
from router.model.serving import Router
router = Router.load()
q = router.encoder.encode(["What is 2 + 2?"])
models = router.space.models[:3]
assert router.scorer(models).p_correct(q).shape == (1, 3)
router.evidence.nearest(q[0, : router.encoder.text_dim], *models[:2])
router.space.neighbors(models[0], 3)
"""
    assert not loaded_after(code) & EXTRAS


def test_an_embedding_needs_no_extra() -> None:
    code = """
from router import Router
router = Router.load()
mine = router.embed(["What is 2 + 2?", "Who wrote Faust?"], [1, 0], "lab/mine")
assert router.predict(["What is 3 + 4?"], [mine]).p_correct.shape == (1, 1)
router.neighbors(mine)
"""
    assert not loaded_after(code) & EXTRAS
