"""Questions that ask for a form: so many words, a letter that must not occur, an order.

Patterns check the form. On example answers, right and wrong, they must agree with a check in Python.
"""

import random
import re
from collections.abc import Callable, Sequence

from router.probes.generators.draft import DisagreementError, Draft, Series, text_draft
from router.probes.json_types import JsonObject
from router.probes.pattern import compiled

TOKENS = 160
WORD = r"\p{L}[\p{L}'-]*"
NOUNS = ("river", "market", "winter", "garden", "island", "bridge", "library", "harbor", "forest", "train")


def _draft(
    query: str,
    level: int,
    pattern: str,
    right: str,
    wrong: Sequence[str],
    holds: Callable[[str], bool],
    without: str = "",
) -> Draft:
    """A question whose pattern agrees with a second check, `holds`, on the example answers.

    Raises:
        DisagreementError: it does not.
    """
    for text, good in [(right, True), *((item, False) for item in wrong)]:
        matches = compiled(pattern).found_in(text) and not (without and compiled(without).found_in(text))
        if matches != good or holds(text) != good:
            raise DisagreementError(f"{text!r} for {query!r}: {matches} by pattern, {holds(text)} by code")
    checker: JsonObject = {"type": "regex", "pattern": pattern}
    if without:
        checker["without"] = without
    return Draft(query, checker, right, level, right, wrong, TOKENS)


def joined_words(rng: random.Random, level: int) -> Draft:
    letter, count, sign = rng.choice("bcmpst"), rng.randint(3, 4), rng.choice("-+_")
    words = {"b": "bear boat bell bird", "c": "cat coat cup cave", "m": "map moon milk mouse", "p": "pen pot park pear",
             "s": "sun sea salt song", "t": "tea tree town tent"}[letter].split()  # fmt: skip
    word = f"{letter}[a-z]+"
    pattern = rf"\A{word}({re.escape(sign)}{word}){{{count - 1}}}\z"
    query = f"Write exactly {count} English words that begin with '{letter}', in small letters, joined by '{sign}'. Nothing else."
    right = sign.join(words[:count])
    wrong = [
        sign.join(words[: count - 1]),
        " ".join(words[:count]),
        right.capitalize(),
        sign.join([*words[: count - 1], "zebra"]),
    ]

    def holds(text: str) -> bool:
        parts = text.split(sign)
        return len(parts) == count and all(part.isalpha() and part.islower() and part[0] == letter for part in parts)

    return _draft(query, level, pattern, right, wrong, holds)


def words_in_a_sentence(rng: random.Random, level: int) -> Draft:
    count, noun = rng.randint(6, 9 + level), rng.choice(NOUNS)
    pattern = rf"\A([^\s]*[^\s.!?]\s+){{{count - 1}}}[^\s.]+[.]\z"
    filler = [
        "the",
        "old",
        "and",
        "quiet",
        "place",
        "near",
        "our",
        "town",
        "was",
        "always",
        "full",
        "of",
        "kind",
        "people",
    ]
    right = " ".join([*filler[: count - 2], "that", f"{noun}."]) if count - 2 <= len(filler) else ""
    query = (
        f"Write one sentence about a {noun} with exactly {count} words. It ends with a full stop. Write nothing else."
    )

    def holds(text: str) -> bool:
        return len(text.split()) == count and text.endswith(".") and text.count(".") == 1

    return _draft(query, level, pattern, right, ["A " + right, right.partition(" ")[2], right.rstrip(".")], holds)


def without_letter(rng: random.Random, level: int) -> Draft:
    letter, count = rng.choice("eao"), 5 + level
    right = {
        "e": "Our small dog ran past a big pond and sat down in a warm spot again",
        "a": "Our little dog went through the whole bright forest every evening with the tired old hunter quickly",
        "o": "Every little cat in the street keeps its warm bed near a glass table in the building",
    }[letter].split()
    sentence = " ".join(right[: count + 2]) + "."
    query = (
        f"Write one sentence of at least {count} words in which the letter '{letter}' does not occur at all,"
        " neither small nor capital. Write nothing else."
    )
    pattern = rf"\A([^\s]*[^\s.!?]\s+){{{count - 1},}}[^\s.]+[.!]\z"

    def holds(text: str) -> bool:
        return letter not in text.lower() and len(text.split()) >= count and text[-1] in ".!"

    wrong = [
        sentence.replace(" ", f" {letter}", 1),
        " ".join(sentence.split()[:3]) + ".",
        f"Sure! {letter.upper()} " + sentence,
    ]
    return _draft(query, level, pattern, sentence, wrong, holds, f"(?i){letter}")


def bullets(rng: random.Random, level: int) -> Draft:
    count, most = rng.randint(3, 5), rng.randint(2, 4)
    topic, items = rng.choice(
        (
            ("things to pack for a hike", "water bottle|warm jacket|map|first aid kit|snacks"),
            (
                "ways to save energy at home",
                "dry laundry outside|lower the heating|use lids|unplug chargers|shorter showers",
            ),
            ("rules for a library", "speak softly|return books|no food|handle with care|phones off"),
        )
    )
    parts = [" ".join(item.split()[:most]) for item in items.split("|")]
    lines = [f"- {item}" for item in parts[:count]]
    query = (
        f"List exactly {count} {topic}. Each line starts with '- ' and has at most {most} words after that. No title,"
        " no other text, and no full stops."
    )
    pattern = rf"\A- {WORD}( {WORD}){{0,{most - 1}}}(\n+- {WORD}( {WORD}){{0,{most - 1}}}){{{count - 1}}}\z"
    right = "\n".join(lines)
    long = "\n".join([*lines[:-1], "- " + " ".join(["word"] * (most + 1))])
    wrong = ["\n".join(lines[:-1]), f"Here you are:\n{right}", right.replace("- ", "* "), long, right + "."]

    def holds(text: str) -> bool:
        rows = [row for row in text.split("\n") if row]
        return len(rows) == count and all(
            row.startswith("- ")
            and 1 <= len(row[2:].split()) <= most
            and row[2:].replace(" ", "").replace("-", "").isalpha()
            for row in rows
        )

    return _draft(query, level, pattern, right, wrong, holds)


def changed_text(rng: random.Random, level: int) -> Draft:
    words = rng.sample(NOUNS, 3 + level)
    if level == 1:
        query, answer = (
            "Write these words in capital letters, in the same order, separated by single spaces: ",
            " ".join(words).upper(),
        )
    elif level == 2:
        query, answer = "Write these words in reverse order, separated by single spaces: ", " ".join(words[::-1])
    elif level == 3:
        query, answer = "Sort these words alphabetically and separate them by single spaces: ", " ".join(sorted(words))
    else:
        ordered = sorted(words, key=lambda word: (len(word), word))
        query, answer = (
            "Sort these words by length, the shortest first, and those of equal length alphabetically; write them with"
            " the last letter of each word as a capital, separated by single spaces: ",
            " ".join(word[:-1] + word[-1].upper() for word in ordered),
        )
    checker: JsonObject = {"type": "exact", "compare": "verbatim"}
    pieces = answer.split()
    wrong = [" ".join(words).title(), " ".join([*pieces[1:], pieces[0]]), " ".join(pieces[:-1]), answer.swapcase()]
    return Draft(
        f"{query}{' '.join(words)}\nAnswer with the result only.", checker, answer, level, answer, wrong, TOKENS
    )


def letters_of_words(rng: random.Random, level: int) -> Draft:
    words = rng.sample(NOUNS, 4 + level)
    place = rng.randint(1, 3)
    answer = "".join(word[place - 1] for word in words)
    picked = ""
    for word in words:
        picked += list(word)[:place][-1]
    if picked != answer:
        raise DisagreementError(answer)
    which = ("first", "second", "third")[place - 1]
    query = f"Join the {which} letters of these words, in order, to one word: {', '.join(words)}.\nAnswer with the letters only."
    return text_draft(query, level, answer, [answer[::-1] + "x", answer[:-1], answer + answer[-1]])


def acrostic(rng: random.Random, level: int) -> Draft:
    word = rng.choice(("STAR", "EAST", "REST") if level < 5 else ("NURSE", "TREAT", "ASTER"))
    starts = {"S": "Stones are warm", "U": "Umbrellas stay home", "N": "Night is far", "E": "Every wave sings", "A": "All is calm",
              "T": "Trees bend slowly", "R": "Rain falls softly"}  # fmt: skip
    lines = [starts[letter] for letter in word]
    pattern = r"\A" + r"\s*\n+".join(rf"{letter}[^\n ]*( [^\n ]+){{2,4}}" for letter in word) + r"\z"
    query = (
        f"Write a poem of {len(word)} lines with three to five words each. The first letters of the lines spell {word},"
        " from top to bottom. Write the lines only, without empty lines or formatting."
    )
    right = "\n".join(lines)
    wrong = ["\n".join(lines[:-1]), "\n".join(lines[::-1]), right.replace("\n", " "), right + "\nIt is done now"]

    def holds(text: str) -> bool:
        rows = text.split("\n")
        return [r[:1] for r in rows] == [*word] and all(3 <= len(r.split()) <= 5 for r in rows)

    return _draft(query, level, pattern, right, wrong, holds)


def repeated(rng: random.Random, level: int) -> Draft:
    word, count, stop = rng.choice(NOUNS), rng.randint(4, 6 + level), rng.choice(("end", "stop", "done"))
    pattern = rf"\A({word}, ){{{count}}}{stop}\z"
    query = f"Write the word '{word}' {count} times, separated by ', ', then ', {stop}'. No other text, no full stop."
    right = ", ".join([word] * count + [stop])
    wrong = [", ".join([word] * (count - 1) + [stop]), ", ".join([word] * count), right + ".", right.replace(", ", " ")]
    return _draft(query, level, pattern, right, wrong, lambda text: text.split(", ") == [word] * count + [stop])


def form_of_answer(rng: random.Random, level: int) -> Draft:
    """An easy question whose answer must have a certain form, with something that must be ignored."""
    a, b = rng.randint(12, 49), rng.randint(3, 9)
    query = (
        f"Do not calculate {a} + {b}. Instead calculate {a} × {b}, and write the result between two hash signs, like #0#,"
        " and after it, without a space, the number of its digits in brackets, like (1). Nothing else."
    )
    product = a * b
    right = f"#{product}#({len(str(product))})"
    pattern = rf"\A#{product}#\({len(str(product))}\)\z"
    wrong = [
        f"#{a + b}#(2)",
        f"#{product}#",
        f"#{product}# ({len(str(product))})",
        right + ".",
        f"{product}({len(str(product))})",
    ]
    return _draft(
        query,
        level,
        pattern,
        right,
        wrong,
        lambda text: text == "#" + str(sum([a] * b)) + "#(" + str(len(str(a * b))) + ")",
    )


SERIES = (
    Series(changed_text, (1, 2, 3, 4), 3),
    Series(repeated, (1, 2), 3),
    Series(joined_words, (2, 3), 3),
    Series(letters_of_words, (3, 4), 3),
    Series(bullets, (2, 3), 4),
    Series(form_of_answer, (3, 4), 2),
    Series(words_in_a_sentence, (3, 4), 3),
    Series(acrostic, (4, 5), 2),
    Series(without_letter, (4, 5), 3),
)
