"""Prompts of token numbers as texts, for models that take texts only.

The numbers say nothing of the tokenizer that they are from. They are read by the one of the model that the request names where
that is one of OpenAI's, and by cl100k_base where nothing is known of it. Numbers of another tokenizer must not become a text that
is invented. What is decoded must be valid UTF-8 and give the same numbers again, which numbers of other tokenizers pass by chance
in half of all prompts of 6 tokens, 1 in 10 of 24 and 1 in 40 of 48. So those for families of models with tokenizers of their own
are not decoded at all, and the answer says by which tokenizer the others were.
"""

import re
from collections.abc import Iterable, Sequence

from gateway.bodies.offload import LARGE, offloaded
from gateway.deployments.live import LiveDeployments
from gateway.request.prompt_length import ENCODING, encoding

READABLE = frozenset({ENCODING, "o200k_base"})  # whose tables are at hand
MAX_TOKENS = 100_000  # of a prompt: a list of more takes the tokenizer milliseconds in which nothing else can run
_OTHER_FAMILIES = re.compile(
    r"claude|gemini|gemma|llama|mistral|mixtral|codestral|devstral|ministral|magistral|qwen|qwq|deepseek|grok|kimi|moonshot|glm|"
    r"\bcommand|\bphi\b|\bnova\b|nemotron|granite|jamba|falcon|yi-|minimax|hermes|vicuna|starcoder|olmo|ernie|hunyuan|\bt5\b",
    re.IGNORECASE,
)


class Undecodable(ValueError):
    """Why token numbers have no text, in words for the client."""


async def decoded(prompts: Sequence[Sequence[int]], fleet: LiveDeployments, model: str) -> tuple[list[str], str]:
    """The texts of these prompts, and the tokenizer by which they were read.

    Args:
        model: as the client names it; may be `auto`.

    Raises:
        Undecodable: one of them has none.
    """
    return await offloaded(LARGE, _decoded, prompts, fleet, model)  # whatever the size: a table may have to be read


def _decoded(prompts: Sequence[Sequence[int]], fleet: LiveDeployments, model: str) -> tuple[list[str], str]:
    live = fleet.models.get(model)
    names = [] if live is None else [model, *(deployment.spec.upstream_model for deployment in live.deployments)]
    tokenizer = tokenizer_of(names)
    return [text_of(prompt, tokenizer) for prompt in prompts], tokenizer


def tokenizer_of(names: Sequence[str]) -> str:
    """The tokenizer of a model, by all the names that it has; cl100k_base where they say nothing.

    Raises:
        Undecodable: it is another than `READABLE`.
    """
    known = _known(names)
    if len(known) > 1 or not known <= READABLE:
        raise Undecodable(f"`{names[0]}` has the tokenizer {' or '.join(sorted(known))}, which cannot be read here")
    if not known and any(map(_OTHER_FAMILIES.search, names)):
        raise Undecodable(f"`{names[0]}` has a tokenizer of its own, which cannot be read here")
    return next(iter(known), ENCODING)


def text_of(tokens: Sequence[int], tokenizer: str) -> str:
    """The text that `tokenizer` writes in these numbers.

    Raises:
        Undecodable: there is none.
    """
    if len(tokens) > MAX_TOKENS:
        raise Undecodable(f"{len(tokens)} are more than the {MAX_TOKENS} that are read of one prompt")
    table = encoding(tokenizer)
    texts = range(table.eot_token - 1)  # the number before the first control token is not given to any
    if (odd := next((token for token in tokens if token not in texts), None)) is not None:
        raise Undecodable(f"{odd} is no token of a text in {tokenizer}")
    try:
        text: str = table.decode_bytes(tokens).decode()
    except UnicodeDecodeError as exc:
        raise Undecodable(f"in {tokenizer} they are no valid UTF-8") from exc
    if table.encode_ordinary(text) != list(tokens):
        raise Undecodable(
            f"{tokenizer} has other numbers for the text that they would be, so they are of another tokenizer"
        )
    return text


def _known(names: Iterable[str]) -> set[str]:
    """The tokenizers that OpenAI's own models among these have."""
    from tiktoken import encoding_name_for_model

    known = set()
    for name in names:
        try:
            known.add(encoding_name_for_model(name.rpartition("/")[2]))
        except KeyError:
            continue
    return {"o200k_base" if name == "o200k_harmony" else name for name in known}  # they differ in control tokens alone
