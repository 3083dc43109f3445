"""What the provider itself says of a change: the model's name and fingerprint in its answers, and its count of prompt tokens. Pure.

These are told at once, and are no part of the statistics: a fingerprint may change without the model.
"""

from collections.abc import Sequence

from gateway.drift.asked import Asked

LEAST = 4  # equal values before another one is a change
COUNTED = 3  # probes whose token counts must change: one may have been cut


def announcements(before: Sequence[Asked], now: Sequence[Asked]) -> list[str]:
    """A sentence for each value that was the same in all answers before and is another one now.

    Args:
        before: all earlier answers since the last change.
        now: the answers of this round.
    """
    found = []
    for field, name in (("response_model", "the name of the model"), ("fingerprint", "its system_fingerprint")):
        old = [value for one in before if (value := getattr(one, field)) is not None]
        new = [value for one in now if (value := getattr(one, field)) is not None]
        if len(old) >= LEAST and len(set(old)) == 1 and new and old[0] not in new:
            found.append(f"{name} in its answers was {old[0]!r} and is {new[-1]!r}")
    return found + _token_counts(before, now)


def _token_counts(before: Sequence[Asked], now: Sequence[Asked]) -> list[str]:
    known: dict[str, set[int]] = {}
    for one in before:
        if one.prompt_tokens:
            known.setdefault(one.probe, set()).add(one.prompt_tokens)
    compared = [(one.prompt_tokens, known[one.probe]) for one in now if one.prompt_tokens and one.probe in known]
    changed = [tokens for tokens, usual in compared if tokens not in usual]
    if len(changed) >= COUNTED and len(changed) == len(compared):
        return [f"it counts the prompt tokens of {len(changed)} of {len(compared)} probes otherwise than before"]
    return []
