"""Groups of commands: help that is never truncated, and suggestions for misspelt commands."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import click

from router.commands.terminal import no_color

MAX_HELP_COLUMNS = 120


class CommandGroup(click.Group):
    """A click group that lists its commands under headings, each with its first sentence.

    Attributes:
        sections: heading -> names of commands; the others are listed under `Commands`.
    """

    sections: Mapping[str, Sequence[str]] = {}

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        settings["context_settings"] = {
            "help_option_names": ["-h", "--help"],
            "max_content_width": MAX_HELP_COLUMNS,
            **settings.get("context_settings", {}),
        }
        super().__init__(*arguments, **settings)

    def make_context(self, *arguments: Any, **settings: Any) -> click.Context:
        context = super().make_context(*arguments, **settings)
        if no_color():
            context.color = False
        return context

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        names = self.list_commands(ctx)
        placed = {name for section in self.sections.values() for name in section}
        rest = [name for name in names if name not in placed]
        widest = max(map(len, names), default=0)
        for heading, section in {**self.sections, "Commands": rest}.items():
            commands = [(name, self.get_command(ctx, name)) for name in section]
            rows = [(name.ljust(widest), command.get_short_help_str(1_000)) for name, command in commands if command]
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            names = self.list_commands(ctx)
            close = difflib.get_close_matches(name[:40], names, n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(names)}."
            ctx.fail(f"No such command {name[:40]!r}; {hint}")
        return super().resolve_command(ctx, args)
