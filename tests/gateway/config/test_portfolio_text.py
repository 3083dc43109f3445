"""Portfolios as YAML text with comments."""

import yaml

from gateway.config.portfolio_text import portfolio_text

PORTFOLIO = {
    "models": [
        {
            "name": "a",
            "deployments": [{"model": "openai/a", "rpm": 5}, {"model": "groq/a"}],
            "price": {"input": 1, "output": 2.5},
        },
        {"name": "yes", "deployments": [{"model": "openai/b: c"}], "capabilities": ["tools", "vision"]},
    ],
    "gateway": {"keys": ["os.environ/KEY"], "port": 4000},
}
COMMENTS = {
    (): ["at the top", ""],
    ("models", 1): ["above an item"],
    ("models", 0, "name"): ["above the first key of an item"],
    ("models", 0, "deployments", 1, "model"): ["above a deployment"],
    ("gateway", "port"): ["with a control\x1b character"],
}


def test_comments_stand_above_their_keys_and_short_values_on_one_line() -> None:
    assert (
        portfolio_text(PORTFOLIO, COMMENTS)
        == """\
# at the top
#

models:
  # above the first key of an item
  - name: a
    deployments:
      - model: openai/a
        rpm: 5
      # above a deployment
      - model: groq/a
    price: {input: 1, output: 2.5}

  # above an item
  - name: 'yes'
    deployments:
      - model: 'openai/b: c'
    capabilities: [tools, vision]

gateway:
  keys: [os.environ/KEY]
  # with a control? character
  port: 4000
"""
    )


def test_the_text_has_the_same_values() -> None:
    assert yaml.safe_load(portfolio_text(PORTFOLIO, COMMENTS)) == PORTFOLIO
