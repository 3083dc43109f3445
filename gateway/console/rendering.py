"""Templates -> pages. Templates are loaded, and pages are rendered, beside the event loop."""

import asyncio
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from gateway import __version__
from gateway.console import formats
from gateway.console.guard import HEADERS
from gateway.console.visitor import Visitor
from router.explore.space_map import SCRIPT, STYLE

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).parent
STATIC = FOLDER / "static"
_SHARED = {SCRIPT.name: SCRIPT, STYLE.name: STYLE}  # of the map, which the router writes into files too
_LONG = 4096  # bytes
_FOR_EVER = "public, max-age=31536000, immutable"


async def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page, or a part of one, from a template.

    Args:
        template: file name in `templates/`.
        values: what the template shows.
    """
    visitor: Visitor | None = getattr(request.state, "visitor", None)
    values = {"visitor": visitor, "path": request.url.path, "query": request.query_params, **values}
    text = await asyncio.to_thread(_render, template, values)
    return HTMLResponse(text, status, headers=HEADERS)


async def json_answer(request: Request, value: object) -> Response:
    """JSON for a script of a page, compressed if it is long."""
    content, headers = orjson.dumps(value), dict(HEADERS)
    if len(content) > _LONG and "br" in request.headers.get("accept-encoding", ""):
        import brotli

        content = await asyncio.to_thread(brotli.compress, content, quality=4)
        headers["content-encoding"] = "br"
    return Response(content, headers=headers, media_type="application/json")


def _render(template: str, values: Mapping[str, Any]) -> str:
    return _environment().get_template(template).render(values)


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= formats.FILTERS
    environment.globals |= {"static": static_path, "version": __version__}
    return environment


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A style sheet, script or picture.

    Attributes:
        digest: part of its address, so that browsers may keep it for ever.
    """

    content: bytes
    media_type: str
    digest: str


@cache
def _static_paths() -> Mapping[str, Path]:
    """All files below `static/`, and those of `_SHARED`, by the name in their address. Other names never reach the file system."""
    own = {path.relative_to(STATIC).as_posix(): path for path in STATIC.rglob("*") if path.is_file()}
    return own | _SHARED


def static_file(name: str) -> StaticFile | None:
    """The file with a path below `static/`, or one of `_SHARED`; None if there is none."""
    return _static_file(name) if name in _static_paths() else None


@cache
def _static_file(name: str) -> StaticFile:
    content = _static_paths()[name].read_bytes()
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return StaticFile(content, media_type, sha256(content).hexdigest()[:12])


@cache
def _compressed(name: str) -> bytes:
    """The content of a static file as brotli (RFC 7932)."""
    import brotli

    file = static_file(name)
    assert file is not None
    return bytes(brotli.compress(file.content, quality=9))


def static_path(name: str) -> str:
    """The address of a file below `static/`.

    Raises:
        FileNotFoundError: there is none.
    """
    file = static_file(name)
    if file is None:
        raise FileNotFoundError(name)
    return f"/ui/static/{file.digest}/{name}"


async def serve_static(request: Request) -> Response:
    """Answers with a file below `static/`."""
    name = request.path_params["name"]
    file = await asyncio.to_thread(static_file, name)
    if file is None:
        return Response("There is no such file.", 404, media_type="text/plain")
    known = request.path_params["digest"] == file.digest
    headers = HEADERS | {"cache-control": _FOR_EVER if known else "no-cache", "vary": "accept-encoding"}
    content = file.content
    if "br" in request.headers.get("accept-encoding", ""):
        content, headers["content-encoding"] = await asyncio.to_thread(_compressed, name), "br"
    return Response(content, headers=headers, media_type=file.media_type)
