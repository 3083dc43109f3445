"""Names and numbers that every room uses in the same sense."""

from collections.abc import Callable
from typing import Literal

Api = Literal["chat", "messages", "responses", "completions", "embeddings"]
Capability = Literal["tools", "vision", "json_schema", "audio", "files", "audio_output", "image_output", "reasoning"]
Clock = Callable[[], float]

ENCODER = "locus-encoder"  # the built-in embedding model: the encoder of queries, which every gateway has
CHARS_PER_TOKEN = 4
EXPECTED_OUTPUT_TOKENS = 400  # where the client sets no lower limit; only differences between models matter
