"""Names and numbers that every room uses in the same sense."""

from collections.abc import Callable
from typing import Literal

Api = Literal["chat", "messages", "responses", "completions", "embeddings"]
Clock = Callable[[], float]

CHARS_PER_TOKEN = 4
EXPECTED_OUTPUT_TOKENS = 400  # where the client sets no lower limit; only differences between models matter
