"""The `locus` command. Each subcommand is imported only when it runs, so that `locus serve` never pays for torch."""

from importlib import import_module

import click

from gateway import __version__
from router.commands import CommandGroup

COMMANDS = {
    "serve": "gateway.serve:serve",
    "check": "gateway.check:check",
    "log": "gateway.log:log",
    "import-config": "gateway.import_config:import_config",
    "neighbors": "router.cli:neighbors",
    "portfolio": "router.portfolio_cli:portfolio",
    "find": "router.space_cli:find",
    "cluster": "router.space_cli:cluster",
    "duplicates": "router.space_cli:duplicates",
    "plot": "router.space_cli:plot",
    "import": "router.import_cli:import_",
    "train": "router.cli:train",
    "embed": "router.cli:embed",
    "evidence": "router.cli:evidence",
    "predict": "router.cli:predict",
    "evaluate": "router.cli:evaluate",
    "bench": "router.bench.cli:bench",
}
SECTIONS = {
    "Serve": ("serve", "check", "log", "import-config"),
    "Models": ("neighbors", "portfolio", "find", "cluster", "duplicates", "plot"),
    "Data": ("import", "train", "embed", "evidence"),
    "Research": ("predict", "evaluate", "bench"),
}


class LazyGroup(CommandGroup):
    """A group whose commands are `module:function` names, resolved on first use."""

    sections = SECTIONS

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command


@click.group(cls=LazyGroup)
@click.version_option(__version__, prog_name="locus")
def main() -> None:
    """Locus Gateway: route each chat request to the model most likely to answer it correctly."""


if __name__ == "__main__":
    main()
