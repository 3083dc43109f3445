"""Records of requests whose decisions were really made, for tests of replay."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import yaml
from sqlalchemy import insert

from gateway.config.database_location import DatabaseLocation
from gateway.config.portfolio import Portfolio
from gateway.config.portfolio_file import load_portfolio
from gateway.model_versions.stored import InUse
from gateway.record.needs import Needs
from gateway.record.predictions import Predictions
from gateway.record.request_record import Part, Record
from gateway.replay.decider import Asked, Decider
from gateway.routing.placed_models import PlacedModels, placed_models
from gateway.store.engines import sync_engine
from gateway.store.outcome_tables import OUTCOMES
from tests.gateway.record.recording import recorder_of
from tests.gateway.running import EMBEDDINGS, shipped_router

PRICES = {"llama-8b": 0.1, "llama-70b": 0.9, "mistral-7b": 0.05}
BEGAN = 1_800_000_000.0
QUESTIONS = (
    "What is {0} plus {1}? Explain each step.",
    "Write a Python function that returns the {0}th prime number.",
    "Translate 'the train leaves at {0}' into French.",
    "A train travels {0} km in {1} minutes. How fast is it?",
    "Which element has the atomic number {0}, and what is it used for in industry?",
    "If all {0} doctors in a hospital work {1} hours, how many hours is that?",
)


def write_portfolio(path: Path, location: DatabaseLocation, names: list[str], **more: Any) -> Path:
    """A portfolio of models of the shipped space, whose store is this database."""
    url = f"sqlite:///{location.file}" if location.url is None else location.url.reveal()
    models = [
        {
            "name": name,
            "embedding": EMBEDDINGS[name],
            "price": {"input": PRICES[name], "output": PRICES[name]},
            "context_window": 8192,
            "capabilities": ["vision"] if name == "llama-70b" else [],
            "deployments": [{"model": f"openai/{name}", "api_base": "http://127.0.0.1:9", "api_key": "sk-up"}],
        }
        for name in names
    ]
    policies = {"careful": {"cost_weight": 200}, "best": {"cost_weight": 0}}
    path.write_text(
        yaml.safe_dump(
            {"models": models, "policies": policies, "default_policy": "best", "gateway": {"store": url}} | more
        )
    )
    return path


def placed(portfolio: Portfolio) -> PlacedModels:
    return placed_models(portfolio, shipped_router(), InUse())


@dataclass(frozen=True)
class Logged:
    """What was recorded.

    Attributes:
        path: of the portfolio.
        chosen: by the policy `careful`, in the order of the requests.
    """

    path: Path
    location: DatabaseLocation
    chosen: list[str]


def fill(
    folder: Path, location: DatabaseLocation, count: int = 120, *, prompts: bool = False, **changed: dict[int, Any]
) -> Logged:
    """Records routed requests, each a second after the one before.

    Args:
        changed: values of columns, by the number of the request.
    """
    path = write_portfolio(folder / "portfolio.yaml", location, list(PRICES))
    portfolio = load_portfolio(path, {})
    decider = Decider(placed(portfolio))
    rng = np.random.default_rng(3)
    texts = [QUESTIONS[i % len(QUESTIONS)].format(*rng.integers(2, 90, 2)) for i in range(count)]
    encoder = shipped_router().encoder
    q = encoder.encode(texts)
    needs = [Needs(prompt_tokens=20 + len(text) // 4) for text in texts]
    decided = decider.decide(Asked(q, needs, ["careful"] * count))
    chosen = [decider.names[i] for i in decided.chosen.tolist()]

    async def write() -> None:
        async with recorder_of(location) as recorder:
            for i, (text, name) in enumerate(zip(texts, chosen, strict=True)):
                tokens = 10 + i % 5, {"llama-8b": 100, "llama-70b": 200, "mistral-7b": 50}[name]
                nusd = round(PRICES[name] * sum(tokens) * 1000)
                messages = [{"role": "user", "content": text}]
                values: dict[str, Any] = dict.fromkeys(Record._fields) | {
                    "request_id": f"r{i}",
                    "time": BEGAN + i,
                    "requested": "auto:careful",
                    "policy": "careful",
                    "chosen": name,
                    "served": name,
                    "deployment": f"{name}/0",
                    "p_correct": float(decided.p_correct[i, decider.names.index(name)]),
                    "status": 200,
                    "api": "chat",
                    "latency_ms": {"llama-8b": 1000.0, "llama-70b": 3000.0, "mistral-7b": 500.0}[name] + i % 7,
                    "prompt_tokens": tokens[0],
                    "completion_tokens": tokens[1],
                    "cached_tokens": 0,
                    "cost_nusd": nusd,
                    "propensity": 1.0,
                    "checkpoint": shipped_router().checkpoint[:12],
                    "prompt": orjson.dumps(messages).decode() if prompts else None,
                }
                values |= {column: by_row[i] for column, by_row in changed.items() if i in by_row}
                row = {name: value for name, value in values.items() if name in Record._fields}
                own = values.get("needs", needs[i])
                known = np.ones(len(decider.names), np.bool_)
                predicted = Predictions(
                    decider.names,
                    decided.p_correct[i],
                    decided.price_usd[i],
                    known,
                    known,
                    q[i : i + 1],
                    encoder.text_dim,
                    own,
                )
                part = Part(name, f"{name}/0", *tokens, nusd, False)
                recorder.add(Record(**row), [part], None if values.get("encoding", 1) is None else predicted)

    asyncio.run(write())
    return Logged(path, location, chosen)


def grade(location: DatabaseLocation, scores: dict[int, tuple[str, float]], kind: str = "exact") -> None:
    """Adds outcomes: number of the request -> model and score."""
    common = {"source": f"grader:{kind}", "kind": kind, "written": time.time(), "priority": 0.0}
    rows = [
        common | {"request_id": f"r{i}", "model": model, "score": score, "time": BEGAN + i}
        for i, (model, score) in scores.items()
    ]
    with sync_engine(location).begin() as connection:
        connection.execute(insert(OUTCOMES), rows)
