"""What is known of public benchmarks: whose scores may be handed on, and which scores are preferences."""

from pathlib import Path

from router.data.benchmarks import BENCHMARKS, NONE_STATED, non_commercial, unpublishable
from router.data.dataset import load_all_queries
from router.data.pools import BESIDE, DEFINITIONS


def test_scores_without_licence_or_for_non_commercial_use_are_not_published() -> None:
    for name in ("mmlu", "gsm8k", "cmmlu", "theme_pick", "mcp_agent", "creative_writing", "analytics_sql"):
        assert any(source.licence == NONE_STATED for source in BENCHMARKS[name].sources), name
        assert not BENCHMARKS[name].publishable, name
    for name in ("alpaca_eval", "project_euler"):
        assert not BENCHMARKS[name].publishable, name
    for name in ("mmlu_pro", "math_l5", "winogrande", "llmrouter", "sql_optimization", "process_facts", "ja_mt_bench"):
        assert BENCHMARKS[name].publishable, name


def test_nothing_is_withheld_of_unknown_benchmarks() -> None:
    assert unpublishable(["ours", "mmlu", "crux", "project_euler"]) == {"mmlu", "project_euler"}
    assert unpublishable([]) == set()
    assert non_commercial(["ours", "mmlu", "crux", "project_euler", "alpaca_eval"]) == {"project_euler", "alpaca_eval"}


def test_preferences_are_told_from_correctness() -> None:
    assert [name for name, benchmark in BENCHMARKS.items() if benchmark.relative] == ["alpaca_eval"]


def test_every_pool_is_of_known_benchmarks() -> None:
    named = {benchmark for benchmarks, _ in DEFINITIONS.values() for benchmark in benchmarks} | BESIDE
    assert named == BENCHMARKS.keys()


def test_every_benchmark_of_the_public_data_is_known(evaluations: Path) -> None:
    folders = [folder for folder in (evaluations, evaluations.parent / "llm-evals-2026") if folder.is_dir()]
    assert set(load_all_queries(folders).benchmarks.tolist()) <= BENCHMARKS.keys()
