"""Names and numbers that every room uses in the same sense."""

from collections.abc import Callable
from typing import Literal

Api = Literal["chat", "messages", "responses", "completions", "embeddings"]
Capability = Literal["tools", "vision", "json_schema", "audio", "files", "audio_output", "image_output", "reasoning"]
StandIns = Literal["never", "same_model", "nearest", "best"]  # what may answer if a call of the chosen model fails
StandInRule = Literal["fallbacks", "nearest", "best"]  # why a stand-in comes where it does in the order
Requirement = Capability | Literal["several", "logprobs"]  # what a request may need of a model
Clock = Callable[[], float]

ENCODER = "locus-encoder"  # the built-in embedding model: the encoder of queries, which every gateway has
OUTPUT_CAPABILITIES: dict[str, Capability] = {"audio": "audio_output", "image": "image_output"}  # by modality
CHARS_PER_TOKEN = 4
CHECKPOINT_CHARS = 12  # of a checkpoint's id, as records, outcomes and messages have it
SPENDING_GROUPS = ("key", "model", "team", "policy", "deployment", "day")  # by which the ledger is summed up
NUSD_PER_USD = 1_000_000_000  # money is counted in nano-USD
EXPECTED_OUTPUT_TOKENS = 400  # where the client sets no lower limit; only differences between models matter


def is_reserved(name: str) -> bool:
    """Return True for a model name that the gateway uses for itself: `auto`, `auto:POLICY` and the built-in embedding model."""
    return name in ("auto", ENCODER) or name.startswith("auto:")
