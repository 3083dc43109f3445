"""The tokens of one call for the ledger: as the provider reported them, else estimated from the text."""

from gateway.answering.open_call import OpenCall
from gateway.core.usage import Usage


def billed_usage(open_call: OpenCall, prompt_tokens: int) -> tuple[Usage, bool]:
    """The tokens of a call, and whether they are an estimate.

    Args:
        prompt_tokens: estimate for a provider that reports no usage, or has not yet when its stream breaks.
    """
    reported = open_call.usage
    if reported is not None and not open_call.cut:
        return reported, False
    if reported is None:
        return Usage(prompt_tokens, open_call.written_tokens), True
    # Some providers report the prompt at the start of a stream, and what is written so far.
    return reported._replace(completion_tokens=max(reported.completion_tokens, open_call.written_tokens)), True
