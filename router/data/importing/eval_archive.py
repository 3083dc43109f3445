"""Reads the JSON members of an Inspect .eval file: a zip archive, deflated or (since 2026) compressed by Zstandard.

Python reads Zstandard in zip archives from 3.14 on; until then pyarrow, which every import needs, decompresses it.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from router.errors import DataError

ZSTANDARD = 93
MAX_MEMBER_BYTES = 128 << 20  # decompressed; parsed JSON takes several times as much memory

_LOCAL_HEADER = struct.Struct("<4s22xHH")


class EvalArchive:
    """An open archive, as `open_archive` yields it."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path = path
        # A sample that was run again is in the archive twice; the last entry counts.
        self.members = {info.filename: info for info in archive.infolist()}
        self._archive = archive

    def read(self, name: str) -> bytes:
        """A member's content.

        Raises:
            DataError: too large, damaged, or compressed by an unknown method.
        """
        info = self.members[name]
        if info.file_size > MAX_MEMBER_BYTES:
            raise DataError(
                f"{self.path}: member {name} is {info.file_size >> 20} MiB large, more than {MAX_MEMBER_BYTES >> 20}"
            )
        try:
            content = self._zstandard(info) if info.compress_type == ZSTANDARD else self._archive.read(info)
        except (zipfile.BadZipFile, RuntimeError, OSError, EOFError, ValueError, struct.error, zlib.error) as exc:
            raise DataError(f"{self.path}: member {name} cannot be read: {exc}") from exc
        if zlib.crc32(content) != info.CRC:
            raise DataError(f"{self.path}: member {name} is damaged: its checksum is wrong")
        return content

    def _zstandard(self, info: zipfile.ZipInfo) -> bytes:
        import pyarrow as pa

        file = self._archive.fp
        if file is None:
            raise EOFError("the archive is closed")
        file.seek(info.header_offset)
        _, name_length, extra_length = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
        file.seek(name_length + extra_length, io.SEEK_CUR)
        compressed = file.read(info.compress_size)
        with pa.CompressedInputStream(pa.BufferReader(compressed), "zstd") as stream:
            return bytes(stream.read(info.file_size))


@contextmanager
def open_archive(path: Path) -> Iterator[EvalArchive]:
    """Opens an archive until the `with` block ends.

    Raises:
        DataError: unreadable, or not a zip archive.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError) as exc:
        raise DataError(f"{path}: not a zip archive: {exc}") from exc
    except OSError as exc:
        raise DataError(f"{path}: cannot be read: {exc.strerror}") from exc
    with archive:
        yield EvalArchive(path, archive)
