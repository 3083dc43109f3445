"""The documentation: links and paths lead somewhere, the README is short, its portfolio is valid, and its words are plain."""

import os
import re
from pathlib import Path

import pytest

from gateway.config.portfolio_file import load_portfolio

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "research").rglob("*.md"))]
ROOMS = ("gateway", "router", "research", "tests", "scripts", "benchmarks", "config", "deploy", "docs", "examples")
README_WORDS = 900


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_to_files(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    broken = [
        target
        for target in targets
        if not target.startswith(("http", "mailto:")) and not (page.parent / target).exists()
    ]
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_paths_in_a_page_exist(page: Path) -> None:
    named = re.findall(rf"`((?:{'|'.join(ROOMS)})/[\w./-]+)`", page.read_text(encoding="utf-8"))
    missing = [path for path in named if not (ROOT / path).exists() and not (ROOT / f"{path}.py").exists()]
    assert not missing


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) < README_WORDS


def test_the_portfolio_of_the_readme_is_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL)
    for variable in ("GROQ_API_KEY", "ANTHROPIC_API_KEY", "LOCUS_KEY"):
        monkeypatch.setenv(variable, "key-of-the-test")
    path = tmp_path / "portfolio.yaml"
    path.write_text(text, encoding="utf-8")
    portfolio = load_portfolio(path, os.environ)
    assert [model.name for model in portfolio.models] == ["gpt-oss-20b", "claude-opus-5"]


PLAIN = re.compile(r"\b(nobody|somebody|whoever|everybody)\b", re.IGNORECASE)
QUOTED = re.compile(r"[\"“`][^\"”`\n]*[\"”`]")


def test_the_subject_of_a_sentence_is_a_thing() -> None:
    sources = [path for package in ("gateway", "router") for path in (ROOT / package).rglob("*.py")]
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in (*PAGES, *sources)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if PLAIN.search(QUOTED.sub("", line.replace('"""', "")))
    ]
    assert not found
