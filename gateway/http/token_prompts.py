"""Turns prompts of token numbers into text, for models that accept only text.

The numbers do not say from which tokenizer they are. If the request names a model with a tokenizer of OpenAI's, that tokenizer
reads them; if the tokenizer of the model is unknown, cl100k_base does. Numbers of a different tokenizer must not become an invented
text, so the text must be valid UTF-8 and must encode to the same numbers. Numbers of other tokenizers pass this check by chance
in half of all prompts of 6 tokens, in 1 of 10 of 24 tokens and in 1 of 40 of 48 tokens. So prompts for model families with their
own tokenizers are not decoded at all, and the answer names the tokenizer that was used.
"""

import re
from collections.abc import Iterable, Sequence

from gateway.bodies.offload import LARGE, offloaded
from gateway.deployments.live import LiveDeployments
from gateway.request.prompt_length import ENCODING, openai_tokenizer

READABLE = frozenset({ENCODING, "o200k_base"})  # tokenizers whose tables are installed
MAX_TOKENS = 100_000  # of a prompt: the tokenizer holds the interpreter for milliseconds to decode more
_OTHER_FAMILIES = re.compile(
    r"claude|gemini|gemma|llama|mistral|mixtral|codestral|devstral|ministral|magistral|qwen|qwq|deepseek|grok|kimi|moonshot|glm|"
    r"\bcommand|\bphi\b|\bnova\b|nemotron|granite|jamba|falcon|yi-|minimax|hermes|vicuna|starcoder|olmo|ernie|hunyuan|\bt5\b",
    re.IGNORECASE,
)


class Undecodable(ValueError):
    """Raised if token numbers cannot be decoded; the message is for the client."""


async def decoded_prompts(
    prompts: Sequence[Sequence[int]], deployments: LiveDeployments, model: str
) -> tuple[list[str], str]:
    """The texts of these prompts, and the tokenizer that was used.

    Args:
        model: as the client names it; may be `auto`.

    Raises:
        Undecodable: one of them cannot be decoded.
    """
    return await offloaded(
        LARGE, _decoded, prompts, deployments, model
    )  # for any size, since a table may have to be loaded


def _decoded(prompts: Sequence[Sequence[int]], deployments: LiveDeployments, model: str) -> tuple[list[str], str]:
    live = deployments.models.get(model)
    names = [] if live is None else [model, *(deployment.spec.upstream_model for deployment in live.deployments)]
    tokenizer = tokenizer_of(names)
    return [text_of(prompt, tokenizer) for prompt in prompts], tokenizer


def tokenizer_of(names: Sequence[str]) -> str:
    """The tokenizer of a model, by all names of the model; cl100k_base if they are unknown.

    Raises:
        Undecodable: the model has another tokenizer than those in `READABLE`.
    """
    known = _openai_tokenizers(names)
    if len(known) > 1 or not known <= READABLE:
        raise Undecodable(f"`{names[0]}` has the tokenizer {' or '.join(sorted(known))}, which cannot be read here")
    if not known and any(map(_OTHER_FAMILIES.search, names)):
        raise Undecodable(f"`{names[0]}` has a tokenizer of its own, which cannot be read here")
    return next(iter(known), ENCODING)


def text_of(tokens: Sequence[int], tokenizer: str) -> str:
    """The text that `tokenizer` encodes as these numbers.

    Raises:
        Undecodable: there is no such text.
    """
    if len(tokens) > MAX_TOKENS:
        raise Undecodable(f"{len(tokens)} are more than the {MAX_TOKENS} that are read of one prompt")
    table = openai_tokenizer(tokenizer)
    texts = range(table.eot_token - 1)  # the number before the first control token is unused
    if (invalid := next((token for token in tokens if token not in texts), None)) is not None:
        raise Undecodable(f"{invalid} is no token of a text in {tokenizer}")
    try:
        text: str = table.decode_bytes(tokens).decode()
    except UnicodeDecodeError as exc:
        raise Undecodable(f"in {tokenizer} they are no valid UTF-8") from exc
    if table.encode_ordinary(text) != list(tokens):
        raise Undecodable(
            f"{tokenizer} has other numbers for the text that they would be, so they are of another tokenizer"
        )
    return text


def _openai_tokenizers(names: Iterable[str]) -> set[str]:
    """The tokenizers of the OpenAI models among these names."""
    from tiktoken import encoding_name_for_model

    known = set()
    for name in names:
        try:
            known.add(encoding_name_for_model(name.rpartition("/")[2]))
        except KeyError:
            continue
    return {"o200k_base" if name == "o200k_harmony" else name for name in known}  # they differ only in control tokens
