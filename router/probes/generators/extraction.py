"""Questions that ask for JSON out of a text. The text is made from the fields, which patterns read out of it again."""

import json
import random
import re
from collections.abc import Mapping

from router.probes.generators.draft import Draft, Series, agreed
from router.probes.json_types import JsonObject, JsonValue

TOKENS = 250
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
PEOPLE = (
    "Maria Lopez",
    "Jonas Weber",
    "Aiko Tanaka",
    "Peter Novak",
    "Sara Lindqvist",
    "Omar Haddad",
    "Chloe Martin",
    "Tom O'Brien",
)
CITIES = ("Lisbon", "Graz", "Leeds", "Ghent", "Turin", "Bergen", "Lyon", "Poznan")


def _draft(
    text: str, fields: Mapping[str, str], reference: JsonObject, again: JsonValue, level: int, extra: str = ""
) -> Draft:
    """A question for the fields `name: what it is`; JSON types come from the reference."""
    agreed(reference, again)
    listed = "\n".join(f"- {name}: {what}" for name, what in fields.items())
    schema: JsonObject = {
        "type": "object",
        "properties": {name: {"type": _type(value)} for name, value in reference.items()},
        "required": [*reference],
        "additionalProperties": False,
    }
    query = f"Read the text and answer with one JSON object with these keys and nothing else:\n{listed}{extra}\n\nText:\n{text}"
    right = f"```json\n{json.dumps(reference, ensure_ascii=False)}\n```"
    return Draft(query, {"type": "json_schema", "schema": schema}, reference, level, right, _wrong(reference), TOKENS)


def _type(value: JsonValue) -> JsonValue:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return ["string", "null"] if value is None else names[type(value)]


def _wrong(reference: JsonObject) -> list[str]:
    """One answer per field that has it wrong, one that lacks a field, one that is not JSON."""
    changed = [json.dumps({**reference, name: _other(value)}) for name, value in reference.items()]
    first = next(iter(reference))
    return [*changed, json.dumps({k: v for k, v in reference.items() if k != first}), str(reference)]


def _other(value: JsonValue) -> JsonValue:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, list):
        return value[:-1]
    return f"{value}x"


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match[1] if match else ""


def invoice(rng: random.Random, level: int) -> Draft:
    number, name, city = f"R-{rng.randint(1_000, 9_999)}", rng.choice(PEOPLE), rng.choice(CITIES)
    amount, days = rng.randint(2_000, 90_000) / 100, rng.choice((10, 14, 30))
    text = (
        f"Dear {name}, please find attached invoice {number} for the repair of your boiler in {city}."
        f" The total is EUR {amount:,.2f}, payable within {days} days. Our previous invoice R-0999 has been settled, thank you."
    )
    reference: JsonObject = {"invoice_number": number, "customer": name, "total": amount, "days_to_pay": days}
    again: JsonObject = {
        "invoice_number": _found(r"attached invoice (R-\d+)", text),
        "customer": _found(r"Dear ([^,]+),", text),
        "total": float(_found(r"EUR ([\d,.]+\d)", text).replace(",", "")),
        "days_to_pay": int(_found(r"within (\d+) days", text)),
    }
    fields = {
        "invoice_number": "text",
        "customer": "full name",
        "total": "number",
        "days_to_pay": "whole number",
    }
    return _draft(text, fields, reference, again, level)


def meeting(rng: random.Random, level: int) -> Draft:
    day, month, year = rng.randint(2, 28), rng.randrange(12), rng.randint(2024, 2027)
    old, hour, minute = rng.randint(8, 11), rng.randint(13, 18), rng.choice((0, 15, 30, 45))
    room, who = rng.choice("ABCD") + str(rng.randint(101, 399)), rng.sample([name.split()[0] for name in PEOPLE], 3)
    text = (
        f"Hi all, the review on {day} {MONTHS[month]} {year} cannot start at {old}:00 as planned. We meet at"
        f" {hour - 12}:{minute:02d} pm instead, in room {room}. {who[0]} and {who[1]} will join; {who[2]} sends apologies."
    )
    reference: JsonObject = {
        "date": f"{year}-{month + 1:02d}-{day:02d}",
        "time": f"{hour}:{minute:02d}",
        "room": room,
        "attending": [*sorted(who[:2])],
    }
    parts = re.findall(r"(\d+) (\w+) (20\d\d)", text)[0]
    clock = re.findall(r"meet at (\d+):(\d\d) pm", text)[0]
    again: JsonObject = {
        "date": f"{parts[2]}-{MONTHS.index(parts[1]) + 1:02d}-{int(parts[0]):02d}",
        "time": f"{int(clock[0]) + 12}:{clock[1]}",
        "room": _found(r"room (\w+)\.", text),
        "attending": sorted(re.findall(r"(\w+) and (\w+) will join", text)[0]),
    }
    fields = {
        "date": "YYYY-MM-DD",
        "time": "of the new start, 24 hours, HH:MM",
        "room": "text",
        "attending": "list of the first names of those who come, in alphabetical order",
    }
    return _draft(text, fields, reference, again, level)


def order(rng: random.Random, level: int) -> Draft:
    goods = rng.sample(("notebooks", "pens", "lamps", "chairs", "desks", "cables"), 2 + level // 2)
    counts = [rng.randint(2, 60) for _ in goods]
    express = rng.random() < 0.5
    dropped = rng.choice(("folders", "staplers"))
    listed = ", ".join(f"{count} {name}" for count, name in zip(counts, goods, strict=True))
    text = (
        f"Hello, we would like to order {listed}. Please leave out the {rng.randint(3, 9)} {dropped} from our last list."
        f" {'It is urgent: send it by express.' if express else 'There is no hurry, normal delivery is fine.'}"
        f" Best, {rng.choice(PEOPLE)}"
    )
    reference: JsonObject = {"items": dict(zip(goods, counts, strict=True)), "express": express}
    wanted = text.partition("Please")[0]
    again: JsonObject = {
        "items": {name: int(count) for count, name in re.findall(r"(\d+) (\w+)", wanted)},
        "express": "express" in text,
    }
    fields = {
        "items": "object from what is ordered, in plural and small letters, to its count",
        "express": "true or false",
    }
    return _draft(text, fields, reference, again, level)


def log_line(rng: random.Random, level: int) -> Draft:
    status, took = rng.choice((200, 201, 404, 429, 500, 503)), rng.randint(3, 4_000)
    path, user = rng.choice(("/v1/chat", "/health", "/admin/keys", "/v1/models")), f"u{rng.randint(100, 999)}"
    address = ".".join(str(rng.randint(1, 250)) for _ in range(4))
    text = f'{address} - {user} "GET {path}?page={rng.randint(2, 9)} HTTP/1.1" {status} {rng.randint(100, 9_000)} bytes {took}ms'
    reference: JsonObject = {
        "ip": address,
        "path": path,
        "status": status,
        "milliseconds": took,
        "failed": status >= 400,
    }
    again: JsonObject = {
        "ip": text.split()[0],
        "path": _found(r"GET ([^?]+)\?", text),
        "status": int(_found(r'" (\d{3}) ', text)),
        "milliseconds": int(_found(r"(\d+)ms", text)),
        "failed": _found(r'" (\d)', text) in ("4", "5"),
    }
    fields = {
        "ip": "text",
        "path": "without the query string",
        "status": "whole number",
        "milliseconds": "whole number",
        "failed": "true if the status is 400 or more, else false",
    }
    return _draft(text, fields, reference, again, level)


def person(rng: random.Random, level: int) -> Draft:
    name, city, born = rng.choice(PEOPLE), rng.choice(CITIES), rng.randint(1950, 1995)
    moved, job = born + rng.randint(18, 30), rng.choice(("nurse", "carpenter", "translator", "pilot"))
    mail = f"{name.split()[0].lower()}@example.org" if rng.random() < 0.5 else None
    text = (
        f"{name} grew up in {city} and was {moved - born} years old when the move to {rng.choice(CITIES)} came in {moved}."
        f" Once a teacher, now a {job}. {f'Write to {mail}.' if mail else 'There is a phone number, but no e-mail address.'}"
    )
    reference: JsonObject = {"name": name, "birth_year": born, "current_job": job, "email": mail}
    again: JsonObject = {
        "name": text.partition(" grew")[0],
        "birth_year": int(_found(r"came in (\d{4})", text)) - int(_found(r"was (\d+) years", text)),
        "current_job": _found(r"now a (\w+)", text),
        "email": _found(r"Write to (\S+)\.", text) or None,
    }
    fields = {
        "name": "full name",
        "birth_year": "whole number, worked out from the text",
        "current_job": "text",
        "email": "text, or null if there is none",
    }
    return _draft(text, fields, reference, again, level)


def statement(rng: random.Random, level: int) -> Draft:
    """Sums over lines of an account, some of them cancelled."""
    rows = []
    for _ in range(4 + level):
        kind = rng.choice(("rent", "food", "travel", "salary"))
        rows.append((kind, rng.randint(10, 900) * (1 if kind == "salary" else -1), rng.random() < 0.2))
    text = "\n".join(f"{i + 1}. {k} {a:+d} EUR{' (cancelled)' if c else ''}" for i, (k, a, c) in enumerate(rows))
    valid = [(kind, amount) for kind, amount, cancelled in rows if not cancelled]
    reference: JsonObject = {
        "balance": sum(amount for _, amount in valid),
        "largest_expense": -min([amount for _, amount in valid if amount < 0], default=0),
        "cancelled": len(rows) - len(valid),
    }
    lines = [line for line in text.splitlines() if "cancelled" not in line]
    amounts = [int(_found(r"([+-]\d+) EUR", line)) for line in lines]
    again: JsonObject = {
        "balance": sum(amounts),
        "largest_expense": max([0, *(-a for a in amounts if a < 0)]),
        "cancelled": text.count("cancelled"),
    }
    fields = {
        "balance": "sum of all lines that are not cancelled, whole number",
        "largest_expense": "the most spent in one line that is not cancelled, positive whole number, 0 if there is none",
        "cancelled": "how many lines are cancelled",
    }
    return _draft(text, fields, reference, again, level)


def tickets(rng: random.Random, level: int) -> Draft:
    """The list of open tickets, in order of their priority."""
    numbers = rng.sample(range(100, 999), 4 + level // 2)
    ranks = rng.sample(range(1, 9), len(numbers))
    states = [rng.choice(("open", "open", "closed", "waiting")) for _ in numbers]
    text = " ".join(f"Ticket #{n} has priority {p} and is {s}." for n, p, s in zip(numbers, ranks, states, strict=True))
    rows = sorted((p, n) for n, p, s in zip(numbers, ranks, states, strict=True) if s == "open")
    found = re.findall(r"#(\d+) has priority (\d) and is open", text)
    reference: JsonObject = {"open": [n for _, n in rows], "count": len(rows)}
    again: JsonObject = {"open": [int(n) for n, _ in sorted(found, key=lambda item: item[1])], "count": len(found)}
    fields = {
        "open": "list of the numbers of open tickets, ordered by priority, 1 first",
        "count": "how many those are",
    }
    if not rows:
        return tickets(rng, level)
    return _draft(text, fields, reference, again, level)


SERIES = (
    Series(invoice, (1,), 8),
    Series(log_line, (2,), 8),
    Series(order, (2, 4), 4),
    Series(meeting, (3,), 8),
    Series(person, (3,), 8),
    Series(statement, (4, 5), 4),
    Series(tickets, (3, 5), 4),
)
