"""A server on loopback that speaks the `/rows` protocol of the Hugging Face datasets server."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

MOST_LENGTH = 100


class DatasetsServer(ThreadingHTTPServer):
    """Serves tables.

    Attributes:
        tables: (dataset, config, split) -> rows.
        token: what callers must send; empty: nothing.
        failures: (status, headers, body) that the next calls get instead, in order.
        truncated: numbers of rows whose cells are cut.
        calls: the query and the headers of each call.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.tables: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
        self.token = ""
        self.failures: list[tuple[int, dict[str, str], str]] = []
        self.truncated: set[int] = set()
        self.calls: list[tuple[dict[str, str], dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: DatasetsServer

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.server.calls.append((query, {name.lower(): value for name, value in self.headers.items()}))
        if self.server.failures:
            status, headers, body = self.server.failures.pop(0)
            return self._send(status, body, headers)
        if self.server.token and self.headers.get("authorization") != f"Bearer {self.server.token}":
            return self._send(
                401, json.dumps({"error": "The dataset does not exist, or is not accessible without authentication."})
            )
        rows = self.server.tables.get((query["dataset"], query["config"], query["split"]))
        if parts.path != "/rows" or rows is None:
            return self._send(404, json.dumps({"error": "Not found."}))
        offset, length = int(query["offset"]), int(query["length"])
        if not 0 < length <= MOST_LENGTH:
            return self._send(422, json.dumps({"error": "Parameter 'length' must not be greater than 100"}))
        listed = [
            {"row_idx": i, "row": row, "truncated_cells": ["question"] if i in self.server.truncated else []}
            for i, row in enumerate(rows)
        ]
        page = {
            "features": [],
            "rows": listed[offset : offset + length],
            "num_rows_total": len(rows),
            "num_rows_per_page": 100,
            "partial": False,
        }
        return self._send(200, json.dumps(page))

    def _send(self, status: int, body: str, headers: dict[str, str] | None = None) -> None:
        content = body.encode()
        self.send_response(status)
        for name, value in {
            "content-type": "application/json",
            "content-length": str(len(content)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        return


@contextmanager
def datasets_server() -> Iterator[DatasetsServer]:
    """A running server."""
    server = DatasetsServer()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
