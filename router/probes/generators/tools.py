"""Questions that need a call of the right tool with the right arguments, several calls, or none."""

import calendar
import json
import random
import re
from collections.abc import Sequence

from router.probes.generators.draft import DisagreementError, Draft, Series
from router.probes.json_types import JsonObject, JsonValue

TOKENS = 200
CITIES = ("Oslo", "Madrid", "Nairobi", "Toronto", "Osaka", "Lima", "Cairo", "Dublin")
NAMES = ("Lena", "Marco", "Yuki", "Priya", "Sven", "Zola")


def _tool(name: str, says: str, properties: JsonObject, required: Sequence[str]) -> JsonObject:
    parameters: JsonObject = {"type": "object", "properties": properties, "required": [*required]}
    return {"type": "function", "function": {"name": name, "description": says, "parameters": parameters}}


def _text(says: str, *names: str) -> JsonObject:
    return {"type": "string", "description": says, **({"enum": [*names]} if names else {})}


def _number(says: str, kind: str = "integer") -> JsonObject:
    return {"type": kind, "description": says}


WEATHER = _tool(
    "get_weather",
    "The weather forecast of a city.",
    {"city": _text("name of the city, in English"), "days": _number("days ahead; 0 is today")},
    ["city", "days"],
)
CONVERT = _tool(
    "convert_currency",
    "Converts an amount of money.",
    {"amount": _number("amount", "number"), "source": _text("ISO 4217 code"), "target": _text("ISO 4217 code")},
    ["amount", "source", "target"],
)
TIMER = _tool(
    "set_timer", "Starts a timer.", {"seconds": _number("length in seconds"), "label": _text("label")}, ["seconds"]
)
MAIL = _tool(
    "send_email",
    "Sends an e-mail.",
    {"to": _text("address"), "subject": _text("subject"), "priority": _text("priority", "low", "normal", "high")},
    ["to", "subject", "priority"],
)
STOCK = _tool(
    "update_stock",
    "Changes how many pieces of an article are in stock.",
    {
        "article": _text("article number, such as A-12"),
        "change": _number("pieces added; negative for pieces taken out"),
    },
    ["article", "change"],
)
FLIGHTS = _tool(
    "find_flights",
    "Finds flights.",
    {
        "origin": _text("city"),
        "destination": _text("city"),
        "date": _text("YYYY-MM-DD"),
        "passengers": _number("how many"),
        "nonstop": {"type": "boolean", "description": "only flights without a stop"},
    },
    ["origin", "destination", "date", "passengers", "nonstop"],
)
TRANSLATE = _tool(
    "translate",
    "Translates a text.",
    {"text": _text("the text"), "language": _text("ISO 639-1 code of the target language")},
    ["text", "language"],
)
TOOLS = (WEATHER, CONVERT, TIMER, MAIL, STOCK, FLIGHTS, TRANSLATE)


def _named(name: str) -> JsonObject:
    return next(tool for tool in TOOLS if _function(tool)["name"] == name)


def _function(tool: JsonObject) -> JsonObject:
    function = tool["function"]
    return function if isinstance(function, dict) else {}


def _draft(
    rng: random.Random, query: str, level: int, calls: list[JsonObject], offered: int, accept: JsonObject | None = None,
    optional: Sequence[str] = (),
) -> Draft:  # fmt: skip
    """A question with `offered` tools, among them the right ones."""
    needed = [_named(str(call["name"])) for call in calls]
    for call, tool in zip(calls, needed, strict=True):
        _check(query, call, tool)
    chosen = [tool for tool in TOOLS if tool in needed]
    others = [tool for tool in TOOLS if tool not in needed]
    tools = [*chosen, *rng.sample(others, max(0, min(offered - len(chosen), len(others))))]
    rng.shuffle(tools)
    checker: JsonObject = {"type": "tool"}
    if accept:
        checker["accept"] = accept
    if optional:
        checker["optional"] = [*optional]
    reference: JsonValue = [*calls] if len(calls) != 1 else calls[0]
    return Draft(query, checker, reference, level, json.dumps(calls), _wrong(calls, tools), TOKENS, tools)


def _check(query: str, call: JsonObject, tool: JsonObject) -> None:
    """The call fits the schema of its tool, and each of its values can be seen in the question, as text or as a number in it.

    Raises:
        DisagreementError: it does not.
    """
    from router.probes.checkers.json_schema import allows

    months = [str(number) for number, name in enumerate(calendar.month_name) if number and f" {name} " in query]
    query = " ".join([query, *months])
    arguments, parameters = call["arguments"], _function(tool)["parameters"]
    if not isinstance(arguments, dict) or not isinstance(parameters, dict) or not allows(parameters, arguments):
        raise DisagreementError(f"{call} does not fit its schema")
    properties = parameters["properties"]
    for name, value in arguments.items():
        given = properties[name] if isinstance(properties, dict) else None
        if isinstance(given, dict) and "enum" in given:
            continue
        if isinstance(value, str) and len(value) > 3 and value.casefold() not in query.casefold():
            words = re.findall(r"\d+", value)
            if not words or not all(re.search(rf"(?<!\d)0*{int(word)}(?!\d)", query) for word in words):
                raise DisagreementError(f"{value!r} is not in the question {query!r}")


def _wrong(calls: list[JsonObject], tools: list[JsonObject]) -> list[str]:
    """No call, another tool, another value of each required argument, a call twice; a call where none is right."""
    if not calls:
        name = _function(tools[0])["name"]
        return [json.dumps([{"name": name, "arguments": {}}])]
    first = calls[0]
    arguments = first["arguments"]
    arguments = arguments if isinstance(arguments, dict) else {}
    other = next(_function(tool)["name"] for tool in tools if _function(tool)["name"] != first["name"])
    changed = [[{**first, "arguments": {**arguments, key: _other(value)}}] for key, value in arguments.items()]
    wrong = [[], [{**first, "name": other}], *(item + calls[1:] for item in changed), [*calls, first]]
    return [json.dumps(item) for item in wrong]


def _other(value: JsonValue) -> JsonValue:
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int | float) else f"{value}x"


def _call(name: str, **arguments: JsonValue) -> JsonObject:
    return {"name": name, "arguments": {**arguments}}


def weather(rng: random.Random, level: int) -> Draft:
    city, days = rng.choice(CITIES), rng.randint(0, 3)
    when = ("today", "tomorrow", "the day after tomorrow", "in three days")[days]
    return _draft(
        rng, f"Do I need an umbrella in {city} {when}?", level, [_call("get_weather", city=city, days=days)], 2 + level
    )


def currency(rng: random.Random, level: int) -> Draft:
    names = {"USD": "US dollars", "EUR": "euros", "JPY": "yen", "GBP": "British pounds", "CHF": "Swiss francs"}
    source, target = rng.sample(sorted(names), 2)
    amount = rng.randint(20, 900)
    query = f"I have {amount} {names[source]} left. How much is that in {names[target]}?"
    return _draft(
        rng, query, level, [_call("convert_currency", amount=amount, source=source, target=target)], 2 + level
    )


def timer(rng: random.Random, level: int) -> Draft:
    minutes, seconds = rng.randint(1, 50), rng.choice((0, 15, 30, 45))
    extra = f" and {seconds} seconds" if seconds else ""
    query = f"Remind me when {minutes} minute{'s' if minutes > 1 else ''}{extra} are over."
    return _draft(
        rng, query, level, [_call("set_timer", seconds=60 * minutes + seconds)], 2 + level, optional=["label"]
    )


def mail(rng: random.Random, level: int) -> Draft:
    name, subject = rng.choice(NAMES), rng.choice(("Contract", "Holiday plan", "Broken printer", "Budget 2027"))
    address = f"{name.lower()}@example.com"
    how, priority = rng.choice(
        (("It can wait.", "low"), ("It is very urgent!", "high"), ("Normal priority.", "normal"))
    )
    query = f'Please mail {name} ({address}) with the subject "{subject}". {how}'
    return _draft(rng, query, level, [_call("send_email", to=address, subject=subject, priority=priority)], 2 + level)


def stock(rng: random.Random, level: int) -> Draft:
    articles = [f"{rng.choice('ABC')}-{number}" for number in rng.sample(range(10, 99), 2)]
    sold, came = rng.randint(2, 30), rng.randint(2, 30)
    query = f"A customer bought {sold} pieces of {articles[0]}, and {came} pieces of {articles[1]} were delivered. Book both."
    calls = [
        _call("update_stock", article=articles[0], change=-sold),
        _call("update_stock", article=articles[1], change=came),
    ]
    return _draft(rng, query, level, calls, 3 + level // 2)


def flights(rng: random.Random, level: int) -> Draft:
    origin, destination = rng.sample(CITIES, 2)
    day, month, people = rng.randint(13, 28), rng.randint(1, 12), rng.randint(2, 4)
    who = {2: "My partner and I", 3: "My partner and I and our child", 4: "My partner and I and our two children"}
    nonstop = rng.random() < 0.5
    query = (
        f"{who[people]} want to fly to"
        f" {destination} on {day} {calendar.month_name[month]} 2027. We live in {origin}."
        f" {'We do not want to change planes.' if nonstop else 'A stop on the way is fine.'}"
    )
    arguments: JsonObject = {"origin": origin, "destination": destination, "passengers": people, "nonstop": nonstop}
    arguments["date"] = f"2027-{month:02d}-{day:02d}"
    return _draft(rng, query, level, [_call("find_flights", **arguments)], 5)


def several(rng: random.Random, level: int) -> Draft:
    a, b = rng.sample(CITIES, 2)
    amount = rng.randint(50, 500)
    query = (
        f"I fly from {a} to {b} tomorrow. What will the weather be in both cities on that day,"
        f" and what are my {amount} euros in US dollars?"
    )
    calls = [
        _call("get_weather", city=a, days=1),
        _call("get_weather", city=b, days=1),
        _call("convert_currency", amount=amount, source="EUR", target="USD"),
    ]
    return _draft(rng, query, level, calls, 5)


def translation(rng: random.Random, level: int) -> Draft:
    codes = {
        "German": "de",
        "French": "fr",
        "Spanish": "es",
        "Japanese": "ja",
        "Swedish": "sv",
        "Greek": "el",
        "Czech": "cs",
    }
    language, text = (
        rng.choice(sorted(codes)),
        rng.choice(("Where is the station?", "The shop is closed.", "Keep left.")),
    )
    query = f'Use the translator: what is "{text}" in {language}?'
    return _draft(rng, query, level, [_call("translate", text=text, language=codes[language])], 3 + level // 2)


def no_tool(rng: random.Random, level: int) -> Draft:
    a, b = rng.randint(3, 9), rng.randint(3, 9)
    query = rng.choice(
        (
            f"What is {a} plus {b}? Answer with the number.",
            f"Write the word 'tea' {a} times, separated by spaces.",
            f"Is {a * b} larger than {a + b}? Answer yes or no.",
            f"How many letters does the word '{'abcdefghijkl'[: a + 2]}' have? Answer with the number.",
        )
    )
    return _draft(rng, query, level, [], 3 + level // 2)


SERIES = (
    Series(weather, (1, 2), 3),
    Series(currency, (1, 2), 3),
    Series(timer, (2, 3), 3),
    Series(mail, (2, 3), 3),
    Series(translation, (2, 3), 3),
    Series(no_tool, (2, 4), 4),
    Series(stock, (4,), 5),
    Series(flights, (4, 5), 3),
    Series(several, (5,), 5),
)
