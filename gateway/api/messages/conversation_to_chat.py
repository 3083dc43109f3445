"""The messages of a Messages request -> chat messages."""

import orjson

from gateway.api.function_names import short_name
from gateway.core.json_types import JsonObject
from gateway.core.validation import (
    content_blocks,
    field_path,
    objects,
    optional,
    required,
    string,
    unknown_value,
    wrong_type,
)

Blocks = list[tuple[str, JsonObject]]  # each with its path in the client's request
# Some clients put this before their system prompt. It differs in every request, so no prompt cache would ever be used.
_BILLING = "x-anthropic-billing-header:"


class ChatConversation:
    """The chat messages of a request, in the order of its blocks. The content of a tool message is a list of parts of any type.

    Attributes:
        native_only: the first field that chat cannot express and that must not be left out, such as a file that is stored at the
            provider.
    """

    def __init__(self, fields: JsonObject) -> None:
        self.messages: list[JsonObject] = []
        self.native_only: str | None = None
        if fields.get("system") is not None:
            self._system(content_blocks(fields, "system"))
        for role, turn in _turns(fields):
            match role:
                case "user":
                    self._user(turn)
                case "assistant":
                    self._assistant(turn)
                case _:
                    self._system(turn)

    def _system(self, turn: Blocks) -> None:
        texts = []
        for where, block in turn:
            if block["type"] != "text":
                raise unknown_value(block, "type", "`text`", where)
            text = string(block, "text", where)
            if text and not text.startswith(_BILLING):
                texts.append(text)
        if texts:
            self.messages.append({"role": "system", "content": "\n\n".join(texts)})

    def _user(self, turn: Blocks) -> None:
        """Tool results become separate messages; all other blocks become one user message."""
        parts: list[JsonObject] = []
        has_result = False
        for where, block in turn:
            if block["type"] == "tool_result":
                self._result(block, where)
                has_result = True
            else:
                parts += self._parts(block, where)
        if parts or not has_result:
            only_text = parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "text" else ""
            self.messages.append({"role": "user", "content": only_text if only_text or not parts else parts})

    def _result(self, block: JsonObject, where: str) -> None:
        call = string(block, "tool_use_id", where)
        inner = [] if block.get("content") is None else content_blocks(block, "content", where)
        parts = [part for at, item in inner for part in self._parts(item, at)]
        result_text = "".join(part["text"] for part in parts if part["type"] == "text")
        if optional(block, "is_error", bool, "true or false", where) and not result_text.lower().startswith("error"):
            parts.insert(0, _text("Error:"))
        self.messages.append({"role": "tool", "tool_call_id": call, "content": parts})

    def _assistant(self, turn: Blocks) -> None:
        text, gap = "", False
        calls, thinking, reasoning = [], [], []
        for where, block in turn:
            kind = block["type"]
            if kind == "text":  # a text block may continue the sentence of the one before it
                text += ("\n\n" if gap and text else "") + string(block, "text", where)
            elif kind == "tool_use":
                calls.append(_call(block, where))
            elif kind == "redacted_thinking":
                thinking.append({"type": kind, "data": string(block, "data", where)})
            elif kind == "thinking":
                thought = string(block, "thinking", where)
                if signature := optional(block, "signature", str, "a string", where):
                    thinking.append({"type": kind, "thinking": thought, "signature": signature})
                elif thought:  # unsigned: a model behind a chat API wrote it
                    reasoning.append(thought)
            gap = kind != "text"
        if not (text or calls or thinking) and self.messages:
            return  # incomplete thinking, or only tools of the provider: many servers reject an empty turn
        message: JsonObject = {"role": "assistant", "content": text if text or not calls else None}
        if calls:
            message["tool_calls"] = calls
        if thinking:
            message["thinking_blocks"] = thinking
        if reasoning:
            message["reasoning_content"] = "\n\n".join(reasoning)
        self.messages.append(message)

    def _parts(self, block: JsonObject, where: str) -> list[JsonObject]:
        """Return a block as chat parts; none if chat has no equivalent."""
        match block["type"]:
            case "text":
                return [_text(string(block, "text", where))]
            case "image":
                return self._image(block, where)
            case "document":
                return self._document(block, where)
            case "search_result":
                content = objects(block, "content", "a list of text blocks", where)
                lines = [string(block, "title", where), string(block, "source", where)]
                return [_text("\n".join(lines + [string(item, "text", at) for at, item in content]))]
            case "tool_reference":  # a result of tool search; chat offers all tools from the beginning
                return [_text(f"Found: {string(block, 'tool_name', where)}.")]
            case "container_upload":
                self._require_native(where)
        return []

    def _image(self, block: JsonObject, where: str) -> list[JsonObject]:
        source, at = _source(block, where)
        match source["type"]:
            case "base64":
                url = _data_url(source, at)
            case "url":
                url = string(source, "url", at)
            case "file":
                self._require_native(at)
                return []
            case _:
                raise unknown_value(source, "type", "`base64`, `url` or `file`", at)
        return [{"type": "image_url", "image_url": {"url": url}}]

    def _document(self, block: JsonObject, where: str) -> list[JsonObject]:
        source, at = _source(block, where)
        title = optional(block, "title", str, "a string", where)
        context = optional(block, "context", str, "a string", where)
        head = [_text(context)] if context else []
        match source["type"]:
            case "text":
                text = string(source, "data", at)
                return [*head, _text(f"{title}\n\n{text}" if title else text)]
            case "content":
                inner = content_blocks(source, "content", at)
                named = [_text(title)] if title else []
                return head + named + [part for where, item in inner for part in self._parts(item, where)]
            case "base64":
                data = _data_url(source, at)
            case "url":
                data = string(source, "url", at)
            case "file":
                self._require_native(at)
                return head
            case _:
                raise unknown_value(source, "type", "`base64`, `url`, `text`, `content` or `file`", at)
        name = title or "document"
        name = name if name.lower().endswith(".pdf") else f"{name}.pdf"
        return [*head, {"type": "file", "file": {"filename": name, "file_data": data}}]

    def _require_native(self, where: str) -> None:
        self.native_only = self.native_only or where


def _turns(fields: JsonObject) -> list[tuple[str, Blocks]]:
    """Return roles with their blocks. Consecutive messages of one role are one turn, as the API defines."""
    turns: list[tuple[str, Blocks]] = []
    messages = objects(fields, "messages", "a list of at least one message")
    if not messages:
        raise wrong_type(fields, "messages", "a list of at least one message")
    for where, message in messages:
        role = string(message, "role", where)
        if role not in ("user", "assistant", "system"):
            raise unknown_value(message, "role", "`user`, `assistant` or `system`", where)
        content = content_blocks(message, "content", where)
        if turns and turns[-1][0] == role:
            turns[-1][1].extend(content)
        else:
            turns.append((role, content))
    return turns


def _call(block: JsonObject, where: str) -> JsonObject:
    arguments = orjson.dumps(required(block, "input", dict, "an object", where)).decode()
    function = {"name": short_name(string(block, "name", where)), "arguments": arguments}
    return {"id": string(block, "id", where), "type": "function", "function": function}


def _source(block: JsonObject, where: str) -> tuple[JsonObject, str]:
    source = required(block, "source", dict, "an object", where)
    string(source, "type", field_path("source", where))
    return source, field_path("source", where)


def _data_url(source: JsonObject, where: str) -> str:
    return f"data:{string(source, 'media_type', where)};base64,{string(source, 'data', where)}"


def _text(text: str) -> JsonObject:
    return {"type": "text", "text": text}
