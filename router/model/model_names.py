"""Takes the name of a model apart: provider, maker, the name itself, and the date of the snapshot.

`vertex_ai/claude-opus-4-5@20251101`, `bedrock/us.anthropic.claude-opus-4-5-20251101-v1:0` and
`anthropic/claude-opus-4-5-20251101` differ in their provider only. Knows no model space; `router.model.model_families` finds the
model of a space that a name means.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from router.model.name_tables import COPIERS, FREE_NAMES, MAKERS, OLLAMA, ONLY_MAKER, PROVIDERS, QUANTISERS, SAME, WHOLE

_REGION = re.compile(
    r"\*|\d-month-commitment|global-standard|data-?zone(-standard)?|(us|eu|ap|apac|ca|sa|me|af|au|jp|in|il|mx|global)(-[a-z]+)*(-\d)?"
)
_ROUTES = frozenset(
    """
    @cf @hf @oi accounts chat claude_platform converse converse_like fireworks hf.co huggingface.co invoke models ps responses
    routers
    """.split()  # noqa: SIM905
)
_DOTTED_REGION = re.compile(r"^(us-gov|us|eu|apac|au|jp|in|ca|global)\.(?=[a-z0-9]+\.)")
_DOTTED_MAKER = re.compile(r"^(system\.ai|[a-z0-9]+)\.(?=[a-z])")
_BEDROCK_VERSION = re.compile(r"(-v[1-9]\d*|-1):\d+$")  # `-v1:0`, and `-1:0` of gpt-oss; `-v0:2` belongs to the name
_WEIGHTS = re.compile(
    r"[-_.:](fp(4|8|16)|[bf]f?16|nvfp4|mxfp4?|int[48]|awq|gptq|gguf|mlx|(unsloth-)?(bnb-)?[48]-?bit|w\d+a\d+|i?q\d(_\w+)?|fp8-(fast|dynamic))$"
)
_SERVING = re.compile(
    r"[-_:@](free|nitro|floor|exacto|extended|online|default|latest|maas|tput|cloud|tee|versatile|hf)$"
)
_SAME_WEIGHTS = re.compile(r"((?<=-instruct)-(turbo|lite|basic)|(?<=-it)-turbo|(?<=\db)-instant|-(8192|32768)|@\d{3})$")
_HOSTS = {"deepinfra": re.compile(r"-turbo$"), "fireworks_ai": re.compile(r"-(us|spot)$")}  # endings of one host
_FAMILIES = (
    "claude|codestral|command|deepseek|devstral|doubao|gemini|gemma|glm|gpt|grok|inkling|jamba|kimi|llama|meta-llama|mimo|minimax|"
    "mi[sx]tral|nemotron|o[134]|qw|seed"
)
_LEADING = re.compile(
    r"^(ai21|alibaba|anthropic|c4ai|cohere|databricks|fw|google|labs|meta|mistralai|nvidia|open|openai|qwen|snowflake|xiaomi|zai|doubao)-"
    rf"(?={_FAMILIES})"
)
_DATES = (
    re.compile(r"-(?P<y>20\d\d)-?(?P<m>[01]\d)-?(?P<d>[0-3]\d)$"),
    re.compile(r"-(?P<m>[01]\d)-(?P<y>20\d\d)$"),
    re.compile(r"-(?P<y>2[2-9])(?P<m>[01]\d)(?P<d>[0-3]\d)$"),
    re.compile(r"-(?P<y>2[2-9])(?P<m>[01]\d)$"),
    re.compile(r"-(?P<m>0[1-9]|1[0-2])(?P<d>[0-3]\d)$"),
    re.compile(r"(?<=-preview|....-exp)-(?P<m>[01]\d)-(?P<d>[0-3]\d)$"),
    re.compile(r"-(?P<v>00\d)$"),
)
_FIRST_YEARS = {**dict.fromkeys(("0301", "0314", "0613", "1106"), "2023"), "0125": "2024"}  # of OpenAI's snapshots
_CHAT = re.compile(r"(?<=.)-(instruct|it|chat)(?=-|$)")
_CLOSED = re.compile(r"gpt-(?!oss)|chatgpt-|o[134](-|$)")  # OpenAI's: `chat` and `instruct` name other models there
_NOT_ELSEWHERE = re.compile(rf"{_CLOSED.pattern}|claude-|gemini-|grok-")  # models that no other server can run
_TIER = re.compile(r"opus|sonnet|haiku|fable|mythos")
_MAKER_WORDS = {
    *MAKERS,
    *MAKERS.values(),
    "amazon",
    "anthropic",
    "nvidia",
    "openai",
    "writer",
}  # before a dot, on Bedrock


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """The parts of a name.

    Attributes:
        provider: where the model is called; None if the name does not say so.
        maker: whose model it is, in one spelling; None if the name does not say so.
        base: the name without the other parts: lower case, with `-` between words and numbers.
        chat: `instruct`, `it` or `chat` stood in the name.
        date: of the snapshot, YYYYMMDD with `00` for an unknown day and `0000` for an unknown year, or a number; "" if none.
        certain: False if the name says nothing certain, such as `gpt-4o` of a server that is not OpenAI's.
    """

    provider: str | None
    maker: str | None
    base: str
    chat: bool
    date: str
    certain: bool = True


@lru_cache(maxsize=4096)
def identity(name: str) -> ModelIdentity:
    """The parts of a name. Any text has some."""
    name = name.strip().lower()
    path, text = _path(name)
    text = WHOLE.get(name, text)
    provider = next((part for part in path if part in PROVIDERS or part in FREE_NAMES), None)
    provider = {"ollama_chat": "ollama", "vertex_ai_beta": "vertex_ai"}.get(provider or "", provider)
    text = _DOTTED_REGION.sub("", text)
    dotted = _DOTTED_MAKER.match(text)
    is_dotted = dotted is not None and (dotted[1] in _MAKER_WORDS or dotted[1] == "system.ai")
    if dotted is not None and is_dotted:
        text = text[dotted.end() :]
        path = [*path, dotted[1]]
        provider = provider or "bedrock"
    maker = _maker(path)
    if maker == "deepseek-ai" and re.match(r"[rv]\d", text):  # Bedrock: deepseek.v3.2
        text = f"deepseek-{text}"
    quantised = _WEIGHTS.search(text) is not None
    text = _spelled(text, provider, bedrock=is_dotted)
    if maker in COPIERS or (quantised and maker in QUANTISERS):
        maker = None
    certain = provider not in FREE_NAMES or maker is not None or _NOT_ELSEWHERE.match(text) is None
    if provider == "ollama":
        certain = OLLAMA.get(text, text) != ""
        text = OLLAMA.get(text, text)
    text = SAME.get(text, text)
    text, date = _date(text)
    text = _same_model(text, provider)
    chat = None if _CLOSED.match(text) else _CHAT.search(text)
    if chat is not None:
        text = text[: chat.start()] + text[chat.end() :]
    return ModelIdentity(provider, maker, text, chat is not None, date, certain)


def _path(name: str) -> tuple[list[str], str]:
    """`azure/eu/gpt-4o` -> `["azure"], "gpt-4o"`: the parts before the name, without regions and routes."""
    *before, text = name.split("/")
    return [part for part in before if part not in _ROUTES and not _REGION.fullmatch(part)], text


def _maker(path: list[str]) -> str | None:
    """The maker that the last part of a path names; a lone provider names one only if it serves no other's models."""
    if not path or path[-1] == "system.ai":
        return None
    if path[-1] in PROVIDERS | FREE_NAMES and (len(path) == 1 or path[-1] == path[0]):
        return ONLY_MAKER.get(path[-1])
    return MAKERS.get(path[-1], path[-1])


def _spelled(text: str, provider: str | None, *, bedrock: bool) -> str:
    """`Llama-3.1_8B:Q4_K_M` -> `llama-3-1-8b`: in one spelling, without endings that do not change the model."""
    text = text if text in SAME else _BEDROCK_VERSION.sub("", text)
    if bedrock and _TIER.search(text):
        text = re.sub(r"-v\d$", "", text)
    text = _same_model(text, provider)
    if provider == "fireworks_ai":
        text = re.sub(r"(?<=\d)p(?=\d)", ".", text)
    if text in SAME:  # with its Bedrock version: another model than without
        return text
    text = re.sub(r"[ _.:@]+", "-", text)
    while text != (shorter := _LEADING.sub("", text)):
        text = shorter
    text = re.sub(r"(?:(?<=^)|(?<=-))([a-z]{3,})(?=\d)", r"\1-", text)  # qwen3 -> qwen-3
    text = re.sub(r"^(llama|qwen)-v(?=\d)", r"\1-", text)
    text = re.sub(r"^(gpt-3|qwen-[23])(?=5-)", r"\1-", text)  # gpt-35-turbo
    return _claude(text) if text.startswith("claude-") else text


def _same_model(text: str, provider: str | None) -> str:
    """Removes endings for a precision, a host's speed or price class, and the like."""
    endings = [_WEIGHTS, _SERVING, _SAME_WEIGHTS, *([_HOSTS[provider]] if provider in _HOSTS else [])]
    while any(ending.search(text) for ending in endings):
        for ending in endings:
            text = ending.sub("", text)
    return text


def _claude(text: str) -> str:
    """`claude-4-5-sonnet-20250929` -> `claude-sonnet-4-5-20250929`"""
    words = text.split("-")[1:]
    tier = next((word for word in words if _TIER.fullmatch(word)), None)
    if tier is None:
        return text
    words.remove(tier)
    version = [word for word in words if len(word) <= 2 and word.isdigit()][:2]
    rest = [word for word in words if word not in version]
    version = version[:1] if version[1:] == ["0"] else version
    rest = rest[1:] if tier == "sonnet" and version == ["3", "5"] and rest[:1] == ["v2"] else rest
    return "-".join(["claude", tier, *version, *rest])


def _date(text: str) -> tuple[str, str]:
    """`gpt-4o-2024-08-06` -> `"gpt-4o", "20240806"`"""
    for pattern in _DATES:
        if (found := pattern.search(text)) is not None:
            part = found.groupdict()
            if "v" in part:
                return text[: found.start()], part["v"]
            day = f"{part['m']}{part.get('d') or '00'}"
            year = part.get("y") or (_FIRST_YEARS.get(day, "0000") if text.startswith("gpt-") else "0000")
            return text[: found.start()], f"{year if len(year) == 4 else '20' + year}{day}"
    return text, ""
