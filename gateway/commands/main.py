"""The `locus` command. It imports a subcommand only when that runs, so that `locus serve` never imports torch."""

from importlib import import_module

import click

from gateway import __version__
from gateway.commands.portfolio_models import MODEL_SOURCE
from router.commands.groups import CommandGroup

COMMANDS = {
    "serve": "gateway.commands.serve:serve",
    "check": "gateway.commands.check:check",
    "log": "gateway.commands.show_log:log",
    "key": "gateway.commands.keys:key",
    "model": "gateway.commands.model:model",
    "drift": "gateway.commands.drift:drift",
    "spend": "gateway.commands.spend:spend",
    "replay": "gateway.commands.replay:replay",
    "savings": "gateway.commands.savings:savings",
    "feedback": "gateway.commands.feedback:feedback",
    "onboard": "gateway.commands.onboard:onboard",
    "migrate": "gateway.commands.migrate:migrate",
    "init": "gateway.commands.init:init",
    "import-config": "gateway.commands.import_config:import_config",
    "models": "router.commands.models:models",
    "probes": "gateway.commands.probes:probes",
    "neighbors": "router.commands.space:neighbors",
    "portfolio": "gateway.commands.portfolio:portfolio",
    "find": "router.commands.space:find",
    "cluster": "router.commands.space:cluster",
    "duplicates": "gateway.commands.duplicates:command",
    "plot": "router.commands.space:plot",
    "import": "router.commands.import_evaluations:import_",
    "train": "router.commands.training:train",
    "embed": "router.commands.training:embed",
    "evidence": "router.commands.training:evidence",
    "predict": "router.commands.prediction:predict",
    "evaluate": "router.commands.prediction:evaluate",
}
SECTIONS = {
    "Serve": (
        "init",
        "check",
        "serve",
        "log",
        "spend",
        "savings",
        "replay",
        "drift",
        "feedback",
        "key",
        "model",
        "migrate",
        "import-config",
    ),
    "Models": ("onboard", "models", "neighbors", "portfolio", "find", "cluster", "duplicates", "plot"),
    "Data": ("probes", "import", "train", "embed", "evidence"),
    "Research": ("predict", "evaluate"),
}


class LazyGroup(CommandGroup):
    """A group whose commands are `module:function` names, imported on first use."""

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
@click.pass_context
def main(context: click.Context) -> None:
    """Locus Gateway: route each chat request to the model most likely to answer it correctly."""
    context.obj = MODEL_SOURCE


if __name__ == "__main__":
    main()
