"""Questions that were written, read from the tables in `written/`: knowledge, languages, everyday matters."""

import csv
import random
from collections.abc import Iterator, Mapping
from importlib.resources import files

from router.probes.generators.draft import Draft, choice_draft
from router.probes.json_types import JsonObject

# What ends a question with options, by language.
LETTER_ONLY = {
    "en": "Answer with the letter only.",
    "de": "Antworte nur mit dem Buchstaben.",
    "fr": "Réponds seulement avec la lettre.",
    "es": "Responde solo con la letra.",
    "it": "Rispondi solo con la lettera.",
    "pt": "Responda só com a letra.",
    "nl": "Antwoord alleen met de letter.",
    "ru": "Ответьте только буквой.",
    "ja": "記号だけで答えてください。",
    "zh": "只回答字母。",
    "ko": "기호만 대답하세요.",
    "pl": "Odpowiedz tylko literą.",
}


def rows(table: str) -> Iterator[dict[str, str]]:
    """The rows of a table: tab-separated, with a header, without quotation."""
    text = (files("router.probes.generators") / "written" / f"{table}.tsv").read_text(encoding="utf-8")
    yield from csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)


def written_drafts(table: str, kind: str) -> Iterator[tuple[str, str, Draft]]:
    """(kind, id, draft) of each row. The id depends on the kind, the level and the place among the rows of that level."""
    count: dict[tuple[str, str], int] = {}
    for row in rows(table):
        language = row.get("language", "")
        of = f"{kind}:{language}" if language else kind
        count[of, row["level"]] = place = count.get((of, row["level"]), 0) + 1
        identifier = f"{of.replace(':', '-')}-written-{row['level']}-{place}"
        yield of, identifier, _draft(random.Random(identifier), row, language or "en")


def _draft(rng: random.Random, row: Mapping[str, str], language: str) -> Draft:
    level, wrong = int(row["level"]), [item for item in row["wrong"].split("|") if item]
    kind = row.get("type", "choice")
    if kind == "choice":
        return choice_draft(
            rng, row["question"], level, [row["right"], *wrong], row["right"], end=LETTER_ONLY[language]
        )
    if kind == "number":
        number = int(row["right"])
        return Draft(
            row["question"],
            {"type": "number"},
            number,
            level,
            f"**{number}**",
            [str(number + 1), str(10 * number)],
        )
    right, *accept = row["right"].split("=")
    checker: JsonObject = {"type": "exact", "accept": [*accept]} if accept else {"type": "exact"}
    return Draft(row["question"], checker, right, level, f"**{right}**", wrong)
