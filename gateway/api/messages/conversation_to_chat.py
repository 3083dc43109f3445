"""The turns of a Messages conversation as chat messages."""

from typing import Any

import orjson

from gateway.api.function_names import short_name
from gateway.api.messages.typed import blocks, objects, optional, path, required, string, unknown, wrong

Blocks = list[tuple[str, dict[str, Any]]]  # each with its path in the client's request
# What some clients put in front of their system prompt, other in every request: no prompt cache would survive it.
_BILLING = "x-anthropic-billing-header:"


class ChatConversation:
    """The chat messages of a request, in the order of its blocks. A tool's message has parts, of which any may be no text.

    Attributes:
        native_only: the field that chat has nothing for, if any, such as a file that the provider keeps.
    """

    def __init__(self, fields: dict[str, Any]) -> None:
        self.messages: list[dict[str, Any]] = []
        self.native_only: str | None = None
        if fields.get("system") is not None:
            self._system(blocks(fields, "system"))
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
                raise unknown(block, "type", "`text`", where)
            text = string(block, "text", where)
            if text and not text.startswith(_BILLING):
                texts.append(text)
        if texts:
            self.messages.append({"role": "system", "content": "\n\n".join(texts)})

    def _user(self, turn: Blocks) -> None:
        """Results of tools are messages of their own; what else the turn has is the user's."""
        parts: list[dict[str, Any]] = []
        answered = False
        for where, block in turn:
            if block["type"] == "tool_result":
                self._result(block, where)
                answered = True
            else:
                parts += self._parts(block, where)
        if parts or not answered:
            alone = parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "text" else ""
            self.messages.append({"role": "user", "content": alone if alone or not parts else parts})

    def _result(self, block: dict[str, Any], where: str) -> None:
        call = string(block, "tool_use_id", where)
        inner = [] if block.get("content") is None else blocks(block, "content", where)
        parts = [part for at, item in inner for part in self._parts(item, at)]
        said = "".join(part["text"] for part in parts if part["type"] == "text")
        if optional(block, "is_error", bool, "true or false", where) and not said.lower().startswith("error"):
            parts.insert(0, _text("Error:"))
        self.messages.append({"role": "tool", "tool_call_id": call, "content": parts})

    def _assistant(self, turn: Blocks) -> None:
        text, gap = "", False
        calls, thinking, thoughts = [], [], []
        for where, block in turn:
            kind = block["type"]
            if kind == "text":  # one block may go on in the middle of the last one's sentence
                text += ("\n\n" if gap and text else "") + string(block, "text", where)
            elif kind == "tool_use":
                calls.append(_call(block, where))
            elif kind == "redacted_thinking":
                thinking.append({"type": kind, "data": string(block, "data", where)})
            elif kind == "thinking":
                thought = string(block, "thinking", where)
                if signature := optional(block, "signature", str, "a string", where):
                    thinking.append({"type": kind, "thinking": thought, "signature": signature})
                elif thought:  # of a model behind a chat API
                    thoughts.append(thought)
            gap = kind != "text"
        if not (text or calls or thinking) and self.messages:
            return  # thoughts that were cut off, or a provider's own tools: many servers refuse a turn that says nothing
        message: dict[str, Any] = {"role": "assistant", "content": text if text or not calls else None}
        if calls:
            message["tool_calls"] = calls
        if thinking:
            message["thinking_blocks"] = thinking
        if thoughts:
            message["reasoning_content"] = "\n\n".join(thoughts)
        self.messages.append(message)

    def _parts(self, block: dict[str, Any], where: str) -> list[dict[str, Any]]:
        """A block as chat parts; none for types that chat knows nothing of."""
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
            case "tool_reference":  # of a search for tools; chat has all of them from the beginning
                return [_text(f"Found: {string(block, 'tool_name', where)}.")]
            case "container_upload":
                self._native(where)
        return []

    def _image(self, block: dict[str, Any], where: str) -> list[dict[str, Any]]:
        source, at = _source(block, where)
        match source["type"]:
            case "base64":
                url = _data_url(source, at)
            case "url":
                url = string(source, "url", at)
            case "file":
                self._native(at)
                return []
            case _:
                raise unknown(source, "type", "`base64`, `url` or `file`", at)
        return [{"type": "image_url", "image_url": {"url": url}}]

    def _document(self, block: dict[str, Any], where: str) -> list[dict[str, Any]]:
        source, at = _source(block, where)
        title = optional(block, "title", str, "a string", where)
        context = optional(block, "context", str, "a string", where)
        head = [_text(context)] if context else []
        match source["type"]:
            case "text":
                text = string(source, "data", at)
                return [*head, _text(f"{title}\n\n{text}" if title else text)]
            case "content":
                inner = blocks(source, "content", at)
                named = [_text(title)] if title else []
                return head + named + [part for where, item in inner for part in self._parts(item, where)]
            case "base64":
                data = _data_url(source, at)
            case "url":
                data = string(source, "url", at)
            case "file":
                self._native(at)
                return head
            case _:
                raise unknown(source, "type", "`base64`, `url`, `text`, `content` or `file`", at)
        name = title or "document"
        name = name if name.lower().endswith(".pdf") else f"{name}.pdf"
        return [*head, {"type": "file", "file": {"filename": name, "file_data": data}}]

    def _native(self, where: str) -> None:
        self.native_only = self.native_only or where


def _turns(fields: dict[str, Any]) -> list[tuple[str, Blocks]]:
    """Roles with their blocks. Neighbours of one role are one turn, by the API's own rule."""
    turns: list[tuple[str, Blocks]] = []
    messages = objects(fields, "messages", "a list of at least one message")
    if not messages:
        raise wrong(fields, "messages", "a list of at least one message")
    for where, message in messages:
        role = string(message, "role", where)
        if role not in ("user", "assistant", "system"):
            raise unknown(message, "role", "`user`, `assistant` or `system`", where)
        content = blocks(message, "content", where)
        if turns and turns[-1][0] == role:
            turns[-1][1].extend(content)
        else:
            turns.append((role, content))
    return turns


def _call(block: dict[str, Any], where: str) -> dict[str, Any]:
    arguments = orjson.dumps(required(block, "input", dict, "an object", where)).decode()
    function = {"name": short_name(string(block, "name", where)), "arguments": arguments}
    return {"id": string(block, "id", where), "type": "function", "function": function}


def _source(block: dict[str, Any], where: str) -> tuple[dict[str, Any], str]:
    source = required(block, "source", dict, "an object", where)
    string(source, "type", path("source", where))
    return source, path("source", where)


def _data_url(source: dict[str, Any], where: str) -> str:
    return f"data:{string(source, 'media_type', where)};base64,{string(source, 'data', where)}"


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}
