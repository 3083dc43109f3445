"""Decompresses request bodies (RFC 9110, 8.4): gzip, deflate, Brotli and Zstandard.

The size of the output is checked during decompression, so that a small body cannot expand to a large one (zip bomb).
"""

import sys
import zlib
from collections.abc import Callable, Iterator

from gateway.core.errors import BodyTooLarge, UnsupportedEncoding

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

try:
    import brotli
except ImportError:  # not built for every platform
    brotli = None

STEP = 64 << 10  # bytes of input and of output per step
MAX_ENCODINGS = 2  # applied one after the other
MAX_MEMBERS = 100  # members of a gzip body, or frames of a Zstandard body
MAX_WINDOW_LOG = 23  # 8 MB: the limit of RFC 9659 for Zstandard in HTTP


def content_encodings(header: bytes) -> list[str]:
    """Return the encodings of a `Content-Encoding` header in the order of decoding; empty if the body is not encoded.

    Raises:
        UnsupportedEncoding: an encoding is unknown, or there are more than two.
    """
    names = [name.strip().lower() for name in header.decode("latin-1").split(",")]
    names = [name.removeprefix("x-") for name in names if name not in ("", "identity")]
    for name in names:
        if name not in ENCODINGS:
            raise UnsupportedEncoding(
                f"The `Content-Encoding` `{name[:100]}` is not known; known are {', '.join(ENCODINGS)}.", ENCODINGS
            )
    if len(names) > MAX_ENCODINGS:
        raise UnsupportedEncoding(
            f"The body has {len(names)} encodings, one after the other; at most {MAX_ENCODINGS} are read.", ENCODINGS
        )
    return names[::-1]


def decoded(body: bytes, encodings: list[str], limit: int) -> bytes:
    """Return the decoded body.

    Args:
        encodings: in the order of decoding, from `content_encodings`.
        limit: largest decoded size, bytes.

    Raises:
        BodyTooLarge: the decoded body is larger than `limit`.
        UnsupportedEncoding: the body is not valid in one of the encodings, or is truncated.
    """
    for name in encodings:
        parts = []
        size = 0
        try:
            for part in _DECODERS[name](body):
                size += len(part)
                if size > limit:
                    raise BodyTooLarge(f"The decoded body is larger than {limit} bytes, the limit of this gateway.")
                parts.append(part)
        except (zlib.error, zstd.ZstdError, EOFError) as exc:
            raise UnsupportedEncoding(
                f"The body is not valid {name}, as its `Content-Encoding` says.", ENCODINGS
            ) from exc
        body = b"".join(parts)
    return body


def _inflated(body: bytes, window_bits: int) -> Iterator[bytes]:
    """Decompress with zlib. A gzip body may consist of up to `MAX_MEMBERS` members."""
    decoder = zlib.decompressobj(window_bits)
    members = 1
    for start in range(0, len(body), STEP):  # zlib copies its unconsumed input, so it gets small pieces
        rest = body[start : start + STEP]
        while rest:
            if decoder.eof:
                members += 1
                if members > MAX_MEMBERS:
                    raise EOFError
                decoder = zlib.decompressobj(window_bits)
            yield decoder.decompress(rest, STEP)
            rest = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
    while not decoder.eof:
        if not (part := decoder.decompress(b"", STEP)):
            raise EOFError
        yield part


def _gzip(body: bytes) -> Iterator[bytes]:
    return _inflated(body, 16 + zlib.MAX_WBITS)


def _deflate(body: bytes) -> Iterator[bytes]:
    """Decompress `deflate`: with the zlib header (RFC 1950), or raw, as some clients send it."""
    return _inflated(body, zlib.MAX_WBITS if body[:1] and body[0] & 0xF == 8 else -zlib.MAX_WBITS)


def _brotli(body: bytes) -> Iterator[bytes]:
    decoder = brotli.Decompressor()
    rest = body
    try:
        while not decoder.is_finished():
            part = decoder.process(rest, output_buffer_limit=STEP)
            if not part and not rest:
                raise EOFError
            rest = b""
            yield part
    except brotli.error as exc:
        raise EOFError from exc


def _zstd(body: bytes) -> Iterator[bytes]:
    """Decompress up to `MAX_MEMBERS` Zstandard frames."""
    decoder = _zstd_decoder()
    frames = 1
    for start in range(0, len(body), STEP):
        rest = body[start : start + STEP]
        while rest:
            if decoder.eof:
                frames += 1
                if frames > MAX_MEMBERS:
                    raise EOFError
                decoder = _zstd_decoder()
            yield decoder.decompress(rest, STEP)
            while not decoder.eof and not decoder.needs_input:
                yield decoder.decompress(b"", STEP)
            rest = decoder.unused_data if decoder.eof else b""
    if body and not decoder.eof:
        raise EOFError


def _zstd_decoder() -> zstd.ZstdDecompressor:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: MAX_WINDOW_LOG})


_DECODERS: dict[str, Callable[[bytes], Iterator[bytes]]] = {"gzip": _gzip, "deflate": _deflate, "zstd": _zstd}
if brotli is not None:
    _DECODERS["br"] = _brotli
ENCODINGS = tuple(_DECODERS)
