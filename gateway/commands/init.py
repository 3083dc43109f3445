"""`locus init`: writes a portfolio file from the API keys and the local models that it finds."""

import os
from collections.abc import Sequence
from pathlib import Path

import click

from gateway.commands.import_config import space_names, write_imported
from gateway.commands.notices import notify, warn
from gateway.commands.ollama_models import OllamaModel, ollama_address, ollama_models
from gateway.commands.portfolio_path import FILE
from gateway.commands.portfolio_writer import checked_draft, put_in_place, schema_text
from gateway.commands.starter import KEYS, SCHEMA_FILE, USUAL, starter_text

OLLAMA, LITELLM = "ollama", "litellm"


@click.command()
@click.option(
    "--from",
    "sources",
    multiple=True,
    metavar="SOURCE",
    type=click.Choice([*KEYS, OLLAMA, LITELLM]),
    help=f"Write the models of this provider: {', '.join(KEYS)}, or {OLLAMA}. May be given several times. "
    f"{LITELLM}: import FILE, the config.yaml of a LiteLLM proxy.",
)
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--force", is_flag=True, help="Replace files that exist.")
def init(sources: tuple[str, ...], file: Path | None, force: bool) -> None:
    """Write portfolio.yaml, and its JSON Schema for editors.

    Without --from it writes the models of the providers whose API keys are set in the environment, and those of an Ollama
    server on this machine, or at the address in OLLAMA_HOST.
    """
    _check_usage(sources, file)
    path, schema = Path(FILE), Path(SCHEMA_FILE)
    for existing in (path, schema):
        if existing.is_dir():
            raise click.ClickException(f"{existing} is a folder; move it, or run `locus init` elsewhere")
        if (
            existing.exists()
            and not force
            and not (existing == schema and schema.read_bytes() == schema_text().encode())
        ):
            raise click.ClickException(f"{existing} exists; --force replaces it")
    if file is not None:
        write_imported(file, path, force=force)
        variables: Sequence[str] = ()  # the import has reported those that are not set
    else:
        variables = _write_starter(sources, path, force=force)
    schema.write_text(schema_text(), encoding="utf-8")
    notify(f"wrote {path}, and {schema} for editors", bold=True)
    if variables:
        warn(f"no API key is set: set one of {', '.join(variables)}")
    notify("next    `locus check` shows what is in it; `locus serve` starts the gateway")


def _check_usage(sources: Sequence[str], file: Path | None) -> None:
    """Raises click.UsageError if the sources and the file do not fit together."""
    if LITELLM in sources:
        if file is None:
            raise click.UsageError("--from litellm needs FILE, the config.yaml of a LiteLLM proxy")
        if len(set(sources)) > 1:
            raise click.UsageError("--from litellm cannot be combined with other sources")
    elif file is not None:
        raise click.UsageError(f"{file}: a file is imported with --from litellm only")


def _write_starter(sources: Sequence[str], path: Path, *, force: bool) -> Sequence[str]:
    """Writes the models of the sources, or of what is found.

    Returns:
        the variables of the API keys that the file names, if none of them is set; else nothing.
    """
    address = ollama_address(os.environ)
    local = ollama_models(address) or [] if not sources or OLLAMA in sources else []
    chat = [model for model in local if model.chat]
    if OLLAMA in sources and not chat:
        raise click.ClickException(
            f"no Ollama server with a chat model answers at {address}; start it, and pull a model: ollama pull gpt-oss:20b"
        )
    providers = [provider for provider in KEYS if provider in sources]
    if not sources:
        providers = [provider for provider, variable in KEYS.items() if os.environ.get(variable)]
        providers = providers if providers or chat else list(USUAL)
    _report_finds(providers, local)
    try:
        with checked_draft(starter_text(providers, chat, space_names(), address), path.parent) as draft:
            put_in_place(draft, path, replace=force)
    except FileExistsError as exc:
        raise click.ClickException(f"{path} exists; --force replaces it") from exc
    except OSError as exc:
        raise click.ClickException(f"{path}: cannot be written: {exc.strerror}") from exc
    variables = [KEYS[provider] for provider in providers]
    return () if chat or any(os.environ.get(variable) for variable in variables) else variables


def _report_finds(providers: Sequence[str], local: Sequence[OllamaModel]) -> None:
    """Prints which keys and local models the file is made for."""
    for provider in providers:
        state = "set" if os.environ.get(KEYS[provider]) else "not set"
        notify(f"{provider}: {KEYS[provider]} is {state}")
    if local:
        notify(f"ollama: {', '.join(model.name for model in local)}")
    unused = [model.name for model in local if not model.chat]
    if unused:
        notify(f"ollama: not written, since they make embeddings only: {', '.join(unused)}")
