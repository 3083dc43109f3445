"""The `locus` command. Each subcommand is imported only when it runs, so that `locus serve` never pays for torch."""

from importlib import import_module

import click

from gateway import __version__

COMMANDS = {
    "serve": "gateway.serve:serve",
    "check": "gateway.check:check",
    "log": "gateway.log:log",
    "train": "router.cli:train",
    "embed": "router.cli:embed",
    "evidence": "router.cli:evidence",
    "predict": "router.cli:predict",
    "evaluate": "router.cli:evaluate",
    "neighbors": "router.cli:neighbors",
    "portfolio": "router.portfolio_cli:portfolio",
    "cluster": "router.space_cli:cluster",
    "find": "router.space_cli:find",
    "duplicates": "router.space_cli:duplicates",
    "plot": "router.space_cli:plot",
    "import-config": "gateway.import_config:import_config",
    "import": "router.import_cli:import_",
    "bench": "router.bench.cli:bench",
}


class LazyGroup(click.Group):
    """A click group whose commands are `module:function` names, resolved on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="locus")
def main() -> None:
    """Locus Gateway: route each chat request to the model most likely to answer it correctly."""


if __name__ == "__main__":
    main()
