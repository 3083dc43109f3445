"""Terminal output of commands: a console, tables, progress bars. Loads rich inside, which takes long to import."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def no_color() -> bool:
    """Return True if the user wants no escape codes (https://no-color.org): click ignores NO_COLOR, and rich keeps bold."""
    return bool(os.environ.get("NO_COLOR"))


def console(*, stderr: bool = False, soft_wrap: bool = False) -> "Console":
    """A console for tables and progress, on stdout or stderr."""
    from rich.console import Console

    color: Literal["auto"] | None = None if no_color() else "auto"
    return Console(stderr=stderr, soft_wrap=soft_wrap, highlight=False, color_system=color)


def table_of(columns: Sequence[str], *, text: Sequence[int], title: str | None = None) -> "Table":
    """An empty table. Its columns hold numbers, aligned to the right, except for those at the indices `text`."""
    from rich.table import Table

    table = Table(title=title, box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for i, name in enumerate(columns):
        table.add_column(name, justify="left" if i in text else "right", no_wrap=i in text)
    return table


def show(table: "Table") -> None:
    """Prints a table to stdout."""
    console().print(table)


@contextmanager
def progress_bar(title: str, total: int) -> Iterator[Callable[[int, str], None]]:
    """A progress bar on stderr: `with progress_bar("training", 100) as advance: advance(1, "loss 0.6")`."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn(title),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console(stderr=True)) as progress:
        task = progress.add_task("", total=total)
        yield lambda done, note: progress.update(task, completed=done, description=note)
