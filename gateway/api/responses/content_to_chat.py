"""The content parts of the Responses API -> the content parts of chat completions."""

from gateway.core.errors import InvalidRequest
from gateway.core.json_types import JsonObject
from gateway.core.validation import expected, json_object, optional, string

TEXT_TYPES = frozenset({"input_text", "output_text", "text", "summary_text", "reasoning_text"})
_DETAILS = {"low": "low", "high": "high", "auto": "auto", "original": "high"}


class ChatContent:
    """The parts of one message or tool output, translated.

    Attributes:
        texts: the texts of all text parts.
        parts: all parts that chat can express.
        native_only: the first field that chat cannot express, if any; its part is left out.
    """

    def __init__(self, content: object, where: str) -> None:
        self.texts: list[str] = []
        self.parts: list[JsonObject] = []
        self.native_only: str | None = None
        if isinstance(content, str):
            self._add_text(content)
        elif isinstance(content, list):
            for i, part in enumerate(content):
                self._add(json_object(part, f"{where}[{i}]"), f"{where}[{i}]")
        else:
            holder, _, key = where.rpartition(".")
            raise InvalidRequest(expected(key, "a string or a list of parts", {key: content}, holder), param=where)

    @property
    def joined_text(self) -> str:
        """All texts as one string: many servers accept only a string in messages that can have nothing else."""
        return "\n".join(self.texts)

    def _add_text(self, value: str) -> None:
        self.texts.append(value)
        self.parts.append({"type": "text", "text": value})

    def _add(self, part: JsonObject, where: str) -> None:
        kind = string(part, "type", where, "a type of content")
        if kind in TEXT_TYPES:
            self._add_text(string(part, "text", where))
        elif kind == "refusal":
            self._add_text(string(part, "refusal", where))
        elif kind == "input_image":
            self._add_image(part, where)
        elif kind == "input_file":
            self._add_file(part, where)
        elif kind == "input_audio":
            audio = json_object(part.get("input_audio"), f"{where}.input_audio")
            data = {key: string(audio, key, f"{where}.input_audio") for key in ("data", "format")}
            self.parts.append({"type": "input_audio", "input_audio": data})
        else:
            self._leave_out(f"{where}.type")

    def _add_image(self, part: JsonObject, where: str) -> None:
        url = optional(part, "image_url", str, "a URL", where)
        detail = optional(part, "detail", str, "a level of detail", where)
        if url is None:
            string(part, "file_id", where, "a string, or `image_url`")
            self._leave_out(f"{where}.file_id")
            return
        image = {"url": url}
        if detail in _DETAILS:
            image["detail"] = _DETAILS[detail]
        self.parts.append({"type": "image_url", "image_url": image})

    def _add_file(self, part: JsonObject, where: str) -> None:
        data = optional(part, "file_data", str, "a data URL", where)
        name = optional(part, "filename", str, "a string", where)
        if data is None:
            key = "file_url" if part.get("file_url") is not None else "file_id"
            string(part, key, where, "a string, or `file_data`")
            self._leave_out(f"{where}.{key}")
            return
        self.parts.append({"type": "file", "file": {"filename": name or "file", "file_data": data}})

    def _leave_out(self, field: str) -> None:
        if self.native_only is None:
            self.native_only = field
