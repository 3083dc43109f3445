"""A server of one tool by the Model Context Protocol, over standard input and output: `secret_word` gives a word."""

import json
import sys

TOOL = {
    "name": "secret_word",
    "description": "Gives the secret word.",
    "inputSchema": {"type": "object", "properties": {"language": {"type": "string"}}},
}


def main() -> None:
    for line in sys.stdin:
        message = json.loads(line)
        method, params = message.get("method"), message.get("params") or {}
        if "id" not in message:
            continue
        result: dict[str, object] = {}
        if method == "initialize":
            version = params.get("protocolVersion", "2025-06-18")
            info = {"name": "words", "version": "1"}
            result = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}
        elif method == "tools/list":
            result = {"tools": [TOOL]}
        elif method == "tools/call":
            result = {"content": [{"type": "text", "text": "the secret word is marmalade"}]}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)


if __name__ == "__main__":
    main()
