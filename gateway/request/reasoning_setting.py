"""Reads which reasoning setting a request, or a deployment's parameters, ask for."""

from collections.abc import Mapping

from router.model.model_families import RANKS


def reasoning_setting(fields: Mapping[str, object]) -> str | None:
    """The reasoning setting of `RANKS` that the fields ask for; None if they leave it to the model, or are not understood.

    `{"reasoning_effort": "high"}` and `{"reasoning": {"effort": "high"}}` -> "high"; `{"thinking": {"type": "enabled", …}}` and
    `{"chat_template_kwargs": {"enable_thinking": True}}` -> "thinking".

    Args:
        fields: of a request in any format, or of a deployment's parameters.
    """
    thinking = _inside(fields, "thinking", "type")
    if thinking == "disabled":  # whatever effort is asked for
        return "no-thinking"
    for effort in (
        fields.get("reasoning_effort"),
        _inside(fields, "reasoning_effort", "effort"),  # as LiteLLM also accepts it
        _inside(fields, "reasoning", "effort"),
        _inside(fields, "output_config", "effort"),
    ):
        if isinstance(effort, str) and effort in RANKS:
            return effort
    if thinking == "enabled":  # Anthropic's third type, "adaptive", asks for nothing
        return "thinking"
    switch = _inside(fields, "chat_template_kwargs", "enable_thinking")
    if isinstance(switch, bool):
        return "thinking" if switch else "no-thinking"
    extra = fields.get("extra_body")
    return reasoning_setting(extra) if isinstance(extra, dict) else None


def _inside(fields: Mapping[str, object], key: str, inner: str) -> object:
    value = fields.get(key)
    return value.get(inner) if isinstance(value, dict) else None
