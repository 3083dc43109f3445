"""Functions to write, read from `written/code_tasks.toml`: a sentence, tests, a right solution and a wrong one."""

import tomllib
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Task:
    """One function to write: `does` ends the sentence "Write a Python function ... that"."""

    signature: str
    does: str
    level: int
    tests: str
    right: str
    wrong: str


def code_tasks() -> tuple[Task, ...]:
    """All tasks, in the order of the file."""
    text = (files("router.probes.generators") / "written" / "code_tasks.toml").read_text(encoding="utf-8")
    return tuple(_task(item) for item in tomllib.loads(text)["task"])


def _task(item: dict[str, str | int]) -> Task:
    fields = {name: str(item[name]).strip() for name in ("signature", "tests", "right", "wrong")}
    return Task(does=" ".join(str(item["does"]).split()), level=int(item["level"]), **fields)
