"""Reading files that a configuration names: regular files of a bounded size, never a device, a pipe or a folder."""

import os
import stat
from pathlib import Path


class NotRegular(OSError):
    """A path that is not a regular file, or one of more bytes than may be read; the text says which."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.strerror = what


def read_regular(path: Path, most_bytes: int) -> bytes:
    """The content of a regular file. Returns at once: opening a pipe does not wait for a writer.

    Raises:
        FileNotFoundError: there is no such file.
        NotRegular: a folder, a device, a pipe or a socket, or more than `most_bytes` bytes.
        OSError: the system refuses it.
    """
    check_regular(path, most_bytes)
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    with open(handle, "rb") as file:
        _check(os.fstat(handle), most_bytes)  # what was opened may be another file than what was looked at
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise NotRegular(f"larger than {_size(most_bytes)}")
    return content


def check_regular(path: Path, most_bytes: int) -> None:
    """
    Raises:
        FileNotFoundError: there is no such file.
        NotRegular: a folder, a device, a pipe or a socket, or more than `most_bytes` bytes.
        OSError: the system refuses it.
    """
    _check(os.stat(path), most_bytes)


def _check(about: os.stat_result, most_bytes: int) -> None:
    if stat.S_ISDIR(about.st_mode):
        raise NotRegular("a folder, not a file")
    if not stat.S_ISREG(about.st_mode):
        raise NotRegular("a device, a pipe or a socket, not a regular file")
    if about.st_size > most_bytes:
        raise NotRegular(f"{_size(about.st_size)}, larger than {_size(most_bytes)}")


def _size(number: int) -> str:
    return f"{number / (1 << 20):.1f} MiB"
