"""Reads regular files of a bounded size. Devices, pipes, sockets and folders are refused."""

import os
import stat
from pathlib import Path


class NotRegular(OSError):
    """The path is not a regular file, or the file is larger than allowed. The message says which."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.strerror = reason


def read_regular(path: Path, most_bytes: int) -> bytes:
    """The content of a regular file. Never waits: a pipe is refused before a writer opens it.

    Raises:
        FileNotFoundError: there is no such file.
        NotRegular: a folder, a device, a pipe or a socket, or more than `most_bytes` bytes.
        OSError: the operating system refuses it.
    """
    check_regular(path, most_bytes)
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    with open(handle, "rb") as file:
        _check_status(os.fstat(handle), most_bytes)  # the path may name another file by now
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise NotRegular(f"larger than {_mebibytes(most_bytes)}")
    return content


def check_regular(path: Path, most_bytes: int) -> None:
    """Checks the type and the size of a file.

    Raises:
        FileNotFoundError: there is no such file.
        NotRegular: a folder, a device, a pipe or a socket, or more than `most_bytes` bytes.
        OSError: the operating system refuses it.
    """
    _check_status(os.stat(path), most_bytes)


def _check_status(status: os.stat_result, most_bytes: int) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise NotRegular("a folder, not a file")
    if not stat.S_ISREG(status.st_mode):
        raise NotRegular("a device, a pipe or a socket, not a regular file")
    if status.st_size > most_bytes:
        raise NotRegular(f"{_mebibytes(status.st_size)}, larger than {_mebibytes(most_bytes)}")


def _mebibytes(number: int) -> str:
    return f"{number / (1 << 20):.1f} MiB"
