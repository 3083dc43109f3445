"""Writes a portfolio file: checked first as `locus serve` checks it, then put in place at once or not at all."""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from gateway.config.portfolio_file import load_portfolio
from gateway.config.schema import json_schema


class _AssumedEnvironment(Mapping[str, str]):
    """An environment in which each variable holds a value that can be a key or an address.

    A variable that is not set where the file is written may be set where it is served.
    """

    def __getitem__(self, name: str) -> str:
        return "https://assumed.invalid"

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


@contextmanager
def checked_draft(text: str, folder: Path) -> Iterator[Path]:
    """Gives a file with this text, readable by its owner alone; it is removed in the end unless it was moved.

    Raises:
        PortfolioError: `locus serve` would refuse the text.
        OSError: the folder cannot be written.
    """
    handle, name = tempfile.mkstemp(dir=folder, prefix=".portfolio-", suffix=".yaml")
    draft = Path(name)
    try:
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        load_portfolio(draft, _AssumedEnvironment(), writes=False)
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def put_in_place(draft: Path, path: Path, *, replace: bool, private: bool = False) -> None:
    """Gives the draft its final name.

    Args:
        replace: whether a file of this name may be replaced.
        private: whether only its owner may read it, since it holds keys.

    Raises:
        FileExistsError: there is such a file, and it may not be replaced.
    """
    if not private:
        mask = os.umask(0)
        os.umask(mask)
        draft.chmod(0o666 & ~mask)
    if replace:
        draft.replace(path.resolve())
        return
    try:
        os.link(draft, path)  # unlike a rename, it never replaces a file that was created in the meantime
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        draft.rename(path)


def schema_text() -> str:
    """Returns the JSON Schema of portfolio files, as written beside them for editors."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
