"""Why a logged request cannot be replayed."""

from typing import Literal, get_args

from gateway.replay.logged import LoggedRequest

Reason = Literal[
    "named",
    "failed",
    "cache",
    "ensemble",
    "conversation",
    "encoding",
    "checkpoint",
    "needs",
    "unpredicted",
    "none_able",
]
REASONS: tuple[Reason, ...] = get_args(Reason)
WORDS: dict[Reason, str] = {
    "named": "named their model, so that no policy chose it",
    "failed": "got no answer",
    "cache": "were answered from the cache",
    "ensemble": "were answered by an ensemble, so that no single choice gave the answer",
    "conversation": "kept the model of their conversation, which an earlier request had decided",
    "encoding": "have no encoding of their text in the record",
    "checkpoint": "were decided with another checkpoint, whose encodings this one does not understand",
    "needs": "are batches of prompts, or older than the record of what a request needs",
    "unpredicted": "were answered by a model whose P(correct) is not known",
    "none_able": "can be served by no model of the other portfolio",
}


def why_not(row: LoggedRequest, checkpoint: str) -> Reason | None:
    """The reason why a request cannot be decided again; None if it can.

    Args:
        checkpoint: the id of the one in use; the record has the beginning of its id.
    """
    if row.policy is None:
        return "named"
    if row.cache == "hit":
        return "cache"
    if row.error is not None or row.served is None:
        return "failed"
    if row.ensemble:
        return "ensemble"
    if row.conversation == "kept":
        return "conversation"
    if row.encoding is None or row.surface is None:
        return "encoding"
    if row.checkpoint is None or not checkpoint.startswith(row.checkpoint):
        return "checkpoint"
    return "needs" if row.needs is None else None
