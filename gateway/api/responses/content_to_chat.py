"""Content parts of the Responses API as those of chat completions."""

from typing import Any

from gateway.api.responses.checks import invalid, item, optional, text
from gateway.core.fields import expected

TEXTS = frozenset({"input_text", "output_text", "text", "summary_text", "reasoning_text"})
_DETAILS = {"low": "low", "high": "high", "auto": "auto", "original": "high"}


class Parts:
    """The parts of one message or tool output.

    Attributes:
        texts: of all that are text.
        parts: all of them, as those of chat.
        foreign: the field of the first part that chat has nothing for; that part is left out.
    """

    def __init__(self, content: Any, where: str) -> None:
        self.texts: list[str] = []
        self.parts: list[dict[str, Any]] = []
        self.foreign: str | None = None
        if isinstance(content, str):
            self._text(content)
        elif isinstance(content, list):
            for i, part in enumerate(content):
                self._add(item(part, f"{where}[{i}]"), f"{where}[{i}]")
        else:
            holder, _, key = where.rpartition(".")
            invalid(expected(key, "a string or a list of parts", {key: content}, holder), where)

    @property
    def media(self) -> list[dict[str, Any]]:
        """The parts that are no text."""
        return [part for part in self.parts if part["type"] != "text"]

    @property
    def joined(self) -> str:
        """The texts as one: where a message can have nothing else, many servers take a string only."""
        return "\n".join(self.texts)

    def _text(self, value: str) -> None:
        self.texts.append(value)
        self.parts.append({"type": "text", "text": value})

    def _add(self, part: dict[str, Any], where: str) -> None:
        kind = text(part, "type", where, "a type of content")
        if kind in TEXTS:
            self._text(text(part, "text", where))
        elif kind == "refusal":
            self._text(text(part, "refusal", where))
        elif kind == "input_image":
            self._image(part, where)
        elif kind == "input_file":
            self._file(part, where)
        elif kind == "input_audio":
            audio = item(part.get("input_audio"), f"{where}.input_audio")
            data = {key: text(audio, key, f"{where}.input_audio") for key in ("data", "format")}
            self.parts.append({"type": "input_audio", "input_audio": data})
        else:
            self._leave_out(f"{where}.type")

    def _image(self, part: dict[str, Any], where: str) -> None:
        url = optional(part, "image_url", str, "a URL", where)
        detail = optional(part, "detail", str, "a level of detail", where)
        if url is None:
            text(part, "file_id", where, "a string, or `image_url`")
            self._leave_out(f"{where}.file_id")
            return
        image = {"url": url}
        if detail in _DETAILS:
            image["detail"] = _DETAILS[detail]
        self.parts.append({"type": "image_url", "image_url": image})

    def _file(self, part: dict[str, Any], where: str) -> None:
        data = optional(part, "file_data", str, "a data URL", where)
        name = optional(part, "filename", str, "a string", where)
        if data is None:
            key = "file_url" if part.get("file_url") is not None else "file_id"
            text(part, key, where, "a string, or `file_data`")
            self._leave_out(f"{where}.{key}")
            return
        self.parts.append({"type": "file", "file": {"filename": name or "file", "file_data": data}})

    def _leave_out(self, field: str) -> None:
        if self.foreign is None:
            self.foreign = field
