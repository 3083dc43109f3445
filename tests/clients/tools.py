"""What the client tests ask for: a tool, two questions, and JSON that must come back."""

from typing import Any

import pydantic

QUESTION = "What is the weather like in Paris?"
TWO_PLACES = "What is the weather like in both Paris and Rome?"
ANSWER = "The tools say: sunny in Paris"
TWO_ANSWERS = "The tools say: sunny in Paris; sunny in Rome"
PLACE = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "A city."}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "weather", "description": "The weather in a city.", "parameters": PLACE},
}


def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


class Trip(pydantic.BaseModel):
    """Where to go, and for how long."""

    city: str
    days: int
    stops: list[str]
