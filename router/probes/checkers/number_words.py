"""Numbers in words: English up to trillions, small ones of other European languages, Chinese and Japanese numerals."""

import re
from collections.abc import Iterator

_SMALL_WORDS = """
zero one two three four five six seven eight nine ten
eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen
"""
_TENS_WORDS = "twenty thirty forty fifty sixty seventy eighty ninety"
_LARGE = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_UNITS = {word: value for value, word in enumerate(_SMALL_WORDS.split())} | {
    word: 10 * value for value, word in enumerate(_TENS_WORDS.split(), start=2)
}
_ENGLISH = {*_UNITS, *_LARGE, "hundred"}

# From 0 to 20: German, French, Spanish, Italian, Portuguese, Dutch, Russian.
_OTHER_WORDS = """
null eins zwei drei vier fünf sechs sieben acht neun zehn
elf zwölf dreizehn vierzehn fünfzehn sechzehn siebzehn achtzehn neunzehn zwanzig
zéro un deux trois quatre cinq six sept huit neuf dix
onze douze treize quatorze quinze seize dix-sept dix-huit dix-neuf vingt
cero uno dos tres cuatro cinco seis siete ocho nueve diez
once doce trece catorce quince dieciséis diecisiete dieciocho diecinueve veinte
zero uno due tre quattro cinque sei sette otto nove dieci
undici dodici tredici quattordici quindici sedici diciassette diciotto diciannove venti
zero um dois três quatro cinco seis sete oito nove dez
onze doze treze catorze quinze dezesseis dezessete dezoito dezenove vinte
nul een twee drie vier vijf zes zeven acht negen tien
elf twaalf dertien veertien vijftien zestien zeventien achttien negentien twintig
ноль один два три четыре пять шесть семь восемь девять десять
одиннадцать двенадцать тринадцать четырнадцать пятнадцать шестнадцать семнадцать восемнадцать девятнадцать двадцать
"""
_OTHER = {word: place % 21 for place, word in enumerate(_OTHER_WORDS.split())}

_CHINESE = {sign: value for value, sign in enumerate("〇一二三四五六七八九")} | {"零": 0, "两": 2, "兩": 2}
_CHINESE_UNITS = {"十": 10, "百": 100, "千": 1_000}
_CHINESE_LARGE = {"万": 10**4, "萬": 10**4, "億": 10**8, "亿": 10**8}
_NUMERALS = re.compile(f"[{''.join([*_CHINESE, *_CHINESE_UNITS, *_CHINESE_LARGE])}]{{1,30}}")
_WORD = re.compile(r"[^\W\d_]{1,30}(?:-[^\W\d_]{1,30})?")


def words_in(text: str) -> Iterator[tuple[int, tuple[int, int]]]:
    """(value, span) of each number in words."""
    run: list[str] = []
    span = (0, 0)
    for match in _WORD.finditer(text):
        pieces = match[0].lower().split("-")
        joins = bool(run) and text[span[1] : match.start()].strip(" ") in ("", ",")
        if run and (not joins or not (set(pieces) <= _ENGLISH or pieces == ["and"])):
            yield _signed(_english(run), text[: span[0]]), span
            run = []
        if set(pieces) <= _ENGLISH:
            span = (span[0] if run else match.start(), match.end())
            run += pieces
        elif run and pieces == ["and"]:
            span = (span[0], match.end())
        elif match[0].lower() in _OTHER:
            yield _OTHER[match[0].lower()], match.span()
        elif _NUMERALS.fullmatch(match[0]) or _NUMERALS.match(match[0]):
            numerals = _NUMERALS.match(match[0])
            if numerals is not None:
                yield _chinese(numerals[0]), (match.start(), match.start() + numerals.end())
    if run:
        yield _signed(_english(run), text[: span[0]]), span


def _signed(value: int, before: str) -> int:
    return -value if before.rstrip().lower().endswith(("minus", "negative")) else value


def _english(words: list[str]) -> int:
    """The value of "two hundred five thousand six", as a list of words."""
    total = current = 0
    for word in words:
        if word in _LARGE:
            total += max(current, 1) * _LARGE[word]
            current = 0
        elif word == "hundred":
            current = max(current, 1) * 100
        else:
            current += _UNITS.get(word, 0)
    return total + current


def _chinese(signs: str) -> int:
    """The value of 三百二十 or 一万二千; of digits only, such as 二〇二四, their decimal value."""
    if len(signs) > 1 and all(sign in _CHINESE for sign in signs):
        return int("".join(str(_CHINESE[sign]) for sign in signs))
    total = section = digit = 0
    for sign in signs:
        if sign in _CHINESE:
            digit = _CHINESE[sign]
        elif sign in _CHINESE_UNITS:
            section += (digit or 1) * _CHINESE_UNITS[sign]
            digit = 0
        else:
            total = (total + section + digit or 1) * _CHINESE_LARGE[sign]
            section = digit = 0
    return total + section + digit
