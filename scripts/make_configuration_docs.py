"""Writes docs/configuration.md and config/portfolio.schema.json: `python -m scripts.make_configuration_docs`."""

import json
from pathlib import Path

from gateway.config.documentation import configuration_page
from gateway.config.schema import json_schema

ROOT = Path(__file__).parents[1]


def main() -> None:
    (ROOT / "docs/configuration.md").write_text(configuration_page(), encoding="utf-8")
    schema = json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    (ROOT / "config/portfolio.schema.json").write_text(schema, encoding="utf-8")


if __name__ == "__main__":
    main()
