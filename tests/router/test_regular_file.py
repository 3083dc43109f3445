"""Regular files of a bounded size are read; anything else is refused at once."""

import os
from pathlib import Path

import pytest

from router.regular_file import NotRegular, check_regular, read_regular


def test_a_file_of_the_largest_allowed_size_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"x" * 100)
    assert read_regular(file, 100) == b"x" * 100
    check_regular(file, 100)


def test_a_larger_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"x" * (3 << 20))
    for refuse in (read_regular, check_regular):
        with pytest.raises(NotRegular, match=r"3\.0 MiB, larger than 1\.0 MiB") as caught:
            refuse(file, 1 << 20)
        assert caught.value.strerror == str(caught.value)


def test_folders_pipes_and_missing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotRegular, match="a folder, not a file"):
        read_regular(tmp_path, 100)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotRegular, match="a device, a pipe or a socket"):
        read_regular(tmp_path / "pipe", 100)  # would wait for a writer if it were opened for reading as usual
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "none", 100)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_a_file_that_grows_while_it_is_read_is_refused() -> None:
    with pytest.raises(NotRegular, match=r"larger than 0\.0 MiB"):
        read_regular(Path("/proc/self/status"), 10)  # its size is stated as 0
