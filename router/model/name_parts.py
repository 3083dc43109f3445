"""What a model's name says about the model: provider, family, version, size, tier, role, reasoning setting.

Reads names as providers, gateways and hubs write them: `Qwen/Qwen3-30B-A3B-Thinking-2507`, `openai/gpt-5.4-mini-2026-03-17:high`,
`anthropic/claude-opus-4-5-20251101`. Standard library only; knows no list of models.
"""

import re
from dataclasses import dataclass

# fmt: off
TIERS = frozenset((
    "nano", "tiny", "micro", "mini", "small", "lite", "flash", "fast", "medium", "plus", "large", "pro", "max", "ultra", "heavy",
    "turbo", "haiku", "sonnet", "opus", "super",
))
# fmt: on
# Words about the purpose of a model -> one word for each purpose.
ROLES = {
    **dict.fromkeys(("instruct", "it", "chat", "sft", "rlhf", "dpo", "instant"), "instruct"),
    **dict.fromkeys(("coder", "code", "codex"), "code"),
    **dict.fromkeys(("vl", "vision", "omni"), "vision"),
    **{word: word for word in ("math", "base", "distill", "search", "agent", "japanese")},
}
# A reasoning setting -> its place between no reasoning and the most. Words of names that say the same are read as settings.
SETTINGS = {
    "none": -1.0,
    "no-thinking": -1.0,
    "minimal": -0.7,
    "low": -0.3,
    "medium": 0.1,
    "thinking": 0.5,
    "high": 0.5,
    "xhigh": 0.8,
    "max": 0.8,
}
_REASONING_WORDS = frozenset(("thinking", "think", "reasoning", "reasoner"))
# fmt: off
# Words that name no family: of release stages, of number and file formats, and names of makers before a family's name.
_IGNORED = frozenset((
    "v", "exp", "experimental", "preview", "beta", "latest", "release", "free", "fixed", "steps", "epoch", "us", "eu", "apac",
    "hf", "bf", "fp", "int", "gguf", "awq", "gptq", "k", "e",
    "meta", "nvidia", "openai", "anthropic", "google", "amazon", "cohere",
))
# fmt: on
_SAME_FAMILY = {"chatgpt": "gpt"}
# Dates and quantisations say nothing here, but would be read as versions. `2507` is July 2025.
_NOISE = re.compile(
    r"(?<!\d)20\d\d-?(?:0[1-9]|1[0-2])-?(?:[0-2]\d|3[01])(?!\d)"
    r"|(?<![\d.])2[2-9](?:0[1-9]|1[0-2])(?![\d.a-z])"
    r"|(?<![a-z\d])q[2-8](?:-(?:[01]|k(?:-[sml])?))?(?![a-z\d])"
    r"|\b(?:c4ai|ai21(?:labs)?)\b"
)
_SIZE = re.compile(r"(?<![a-z\d.])(?:(\d{1,3})x)?e?(\d{1,4}(?:\.\d{1,3})?)([mbt])(?![a-z\d])")
_ACTIVE_SIZE = re.compile(r"(?<![a-z\d.])a\d+(?:\.\d+)?b(?![a-z\d])")  # of a mixture of experts: 30b-a3b
_TOKEN = re.compile(r"[a-z]+|\d+(?:\.\d+)?")
_BILLIONS = {"m": 1e-3, "b": 1.0, "t": 1e3}


@dataclass(frozen=True)
class NameParts:
    """The parts of a name. None and empty: the name does not say it.

    Attributes:
        provider: the part before the last slash.
        families: words of the families, the main one first: ("llama", "nemotron").
        version: within the main family: 5.4 of gpt-5.4.
        size_b: parameters in billions, those of all experts where the name states them.
        tiers: of `TIERS`.
        roles: values of `ROLES`.
        effort: value of `SETTINGS`.
    """

    provider: str
    families: tuple[str, ...]
    version: float | None
    size_b: float | None
    tiers: frozenset[str]
    roles: frozenset[str]
    effort: float | None


def parse_name(name: str) -> NameParts:
    """The parts of a model's name in any spelling.

    `Qwen/Qwen3-30B-A3B-Thinking-2507` is provider qwen, family qwen, version 3, 30 billion parameters, effort of thinking.
    """
    path, _, last = name.lower().rpartition("/")
    stem, _, suffix = last.partition(":")
    effort = SETTINGS.get(suffix)
    text = stem if effort is not None else f"{stem}-{suffix}"  # qwen3:8b
    text = re.sub(r"(?<=\d)[_p](?=\d)", ".", text).replace("_", "-").replace("@", "-")  # llama-3_1, llama-v3p1
    text = _NOISE.sub(" ", text)
    size = _SIZE.search(text)
    text = _ACTIVE_SIZE.sub(" ", _SIZE.sub(" ", text))
    text = re.sub(r"(?<![\d.])(\d)-(\d)(?![\d.])", r"\1.\2", text)  # claude-opus-4-5
    words = [_SAME_FAMILY.get(word, word) for word in _TOKEN.findall(text)]
    if effort is None and _REASONING_WORDS & set(words):
        effort = SETTINGS["thinking"]
    return NameParts(
        provider=path.rpartition("/")[2],
        families=tuple(dict.fromkeys(word for word in words if _is_family(word))),
        version=next((float(word) for word in words if _is_version(word)), None),
        size_b=None if size is None else int(size[1] or 1) * float(size[2]) * _BILLIONS[size[3]] or None,
        tiers=frozenset(words) & TIERS,
        roles=frozenset(ROLES[word] for word in words if word in ROLES),
        effort=effort,
    )


def _is_family(word: str) -> bool:
    return word.isalpha() and not (word in TIERS or word in ROLES or word in _IGNORED or word in _REASONING_WORDS)


def _is_version(word: str) -> bool:
    """A number below 100; longer ones, as in gpt-3.5-turbo-0125, are builds."""
    return not word.isalpha() and len(word.partition(".")[0]) <= 2
