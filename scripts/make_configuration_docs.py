"""Writes docs/configuration.md and config/portfolio.schema.json: `python -m scripts.make_configuration_docs`."""

from pathlib import Path

from gateway.commands.portfolio_writer import schema_text
from gateway.config.documentation import configuration_page

ROOT = Path(__file__).parents[1]


def main() -> None:
    (ROOT / "docs/configuration.md").write_text(configuration_page(), encoding="utf-8")
    (ROOT / "config/portfolio.schema.json").write_text(schema_text(), encoding="utf-8")


if __name__ == "__main__":
    main()
