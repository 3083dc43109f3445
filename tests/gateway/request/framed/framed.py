"""Questions, and the conversations in which agents and apps wrap them."""

from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent
SLOT = "{{question}}"


def questions() -> dict[str, str]:
    """All questions, by their kind."""
    found: dict[str, str] = yaml.safe_load((FOLDER / "questions.yaml").read_text("utf-8"))
    return found


def frames() -> dict[str, list[dict[str, Any]]]:
    """All conversations, by the name of the agent; `SLOT` is in the place of the question."""
    found: dict[str, list[dict[str, Any]]] = yaml.safe_load((FOLDER / "frames.yaml").read_text("utf-8"))
    return found


def framed(frame: list[dict[str, Any]], question: str) -> list[dict[str, Any]]:
    """The messages that the agent sends for the question."""
    return [message | {"content": _filled(message["content"], question)} for message in frame]


def _filled(content: Any, question: str) -> Any:
    if isinstance(content, list):
        return [part | {"text": part["text"].replace(SLOT, question)} for part in content]
    return content.replace(SLOT, question) if isinstance(content, str) else content
