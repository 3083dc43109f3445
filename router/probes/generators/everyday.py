"""Everyday questions: times, dates, money, units, recipes. Each is computed twice."""

import datetime
import random
from fractions import Fraction

from router.probes.generators.draft import LEVELS, Draft, Series, agreed, number_draft, text_draft


def duration(rng: random.Random, level: int) -> Draft:
    start, length = rng.randint(360, 1_200), rng.randint(35, 200) + 150 * (level - 1)
    counted = start
    for _ in range(length):
        counted = (counted + 1) % 1_440
    end = (start + length) % 1_440
    end = int(str(agreed(end, counted)))
    query = (
        f"A journey starts at {start // 60}:{start % 60:02d} and takes {length // 60} hours and {length % 60} minutes."
        " At what time does it end? Answer with the time only, as HH:MM in 24 hours."
    )
    right = f"{end // 60:02d}:{end % 60:02d}"
    wrong = [f"{(end // 60 + 1) % 24:02d}:{end % 60:02d}", f"{end // 60:02d}:{(end % 60 + 10) % 60:02d}"]
    return text_draft(query, level, right, wrong, accept=[f"{end // 60}:{end % 60:02d}"])


def days_between(rng: random.Random, level: int) -> Draft:
    first = datetime.date(2024 + level // 2, rng.randint(1, 8), rng.randint(1, 28))
    last = first + datetime.timedelta(days=rng.randint(15, 60 * level))
    day, count = first, 0
    while day < last:
        day, count = day + datetime.timedelta(days=1), count + 1
    names = [f"{item.day} {item:%B} {item.year}" for item in (first, last)]
    query = f"How many days after {names[0]} is {names[1]}?"
    return number_draft(query, level, last.toordinal() - first.toordinal(), count, work=level > 2)


def date_after(rng: random.Random, level: int) -> Draft:
    first = datetime.date(rng.randint(2023, 2026), rng.randint(1, 12), rng.randint(1, 28))
    count = rng.randint(10, 30 + 30 * level)
    by_steps = first
    for _ in range(count):
        by_steps += datetime.timedelta(days=1)
    answer = agreed((first + datetime.timedelta(days=count)).isoformat(), by_steps.isoformat())
    query = f"Which date is {count} days after {first.day} {first:%B} {first.year}? Answer with the date only, as YYYY-MM-DD."
    wrong = [(by_steps + datetime.timedelta(days=step)).isoformat() for step in (-1, 1, 30)]
    return text_draft(query, level, str(answer), wrong)


def shopping(rng: random.Random, level: int) -> Draft:
    goods = rng.sample(("apples", "rolls", "bottles of water", "yoghurts", "lemons"), min(4, 1 + level))
    rows = [(name, rng.randint(2, 6), rng.randint(20, 190) * 5) for name in goods]
    listed = ", ".join(f"{count} {name} at {cents / 100:.2f} each" for name, count, cents in rows)
    total = sum(count * cents for _, count, cents in rows)
    paid = (total // 5_000 + 1) * 5_000
    singly = sum(Fraction(cents, 100) for _, count, cents in rows for _ in range(count))
    query = f"I buy {listed}, and pay with {paid // 100} euros. How much change do I get, in euros?"
    return number_draft(query, level, (paid - total) / 100, float(paid // 100 - singly), work=level > 1)


def recipe(rng: random.Random, level: int) -> Draft:
    people, grams = rng.choice((2, 4, 6)), 60 * rng.randint(2, 12)
    more = people + rng.choice((1, 3, 5))
    each = Fraction(grams, people)
    query = f"A recipe for {people} people needs {grams} g of flour. How many grams are needed for {more} people?"
    total = sum([each] * more)
    return number_draft(query, level, float(Fraction(grams * more, people)), float(total), work=False)


def split_bill(rng: random.Random, level: int) -> Draft:
    people, tip = rng.randint(3, 6), rng.choice((10, 15, 20))
    share = rng.randint(12, 40) * 2
    bill = Fraction(share * people * 100, 100 + tip)
    while bill.denominator > 2:
        people, share = people + 1, share + 1
        bill = Fraction(share * people * 100, 100 + tip)
    query = (
        f"A bill of {float(bill):g} euros plus a tip of {tip}% is split evenly among {people} people."
        " How much does each pay, in euros?"
    )
    return number_draft(query, level, share, int((bill + bill * tip / 100) / people), work=level > 2)


def units(rng: random.Random, level: int) -> Draft:
    value = rng.randint(2, 90)
    celsius = 5 * rng.randint(-4, 20)
    choices = (
        (f"How many minutes are {value} hours and a quarter?", value * 60 + 15, sum([60] * value) + 15),
        (f"How many metres are {value / 10:g} km?", value * 100, int(Fraction(value, 10) * 1_000)),
        (
            f"How many degrees Fahrenheit are {celsius} degrees Celsius?",
            celsius * 9 // 5 + 32,
            int(Fraction(9, 5) * celsius + 32),
        ),
        (f"How many millilitres are {value / 4:g} litres?", value * 250, int(Fraction(value, 4) * 1_000)),
        (f"How many square centimetres are {value} square metres?", value * 10_000, value * 100 * 100),
    )
    query, first, second = choices[level - 1 if level < 3 else rng.randint(2, 4)]
    return number_draft(query, level, first, second, work=False)


def speed(rng: random.Random, level: int) -> Draft:
    pace, hours = 10 * rng.randint(6, 12), rng.randint(2, 4)
    slow = 10 * rng.randint(3, 5)
    rest = rng.randint(1, 2)
    query = (
        f"A car drives {hours} hours at {pace} km/h and then {rest} hour{'s' if rest > 1 else ''} at {slow} km/h."
        " What is its mean speed over the whole time, in km/h? Round to one decimal."
    )
    mean = Fraction(hours * pace + rest * slow, hours + rest)
    by_minutes = Fraction(sum([pace] * hours * 60 + [slow] * rest * 60), 60 * (hours + rest))
    return number_draft(query, level, round(float(mean), 1), round(float(by_minutes), 1), work=True)


SERIES = (
    Series(duration, (1, 2, 3), 2),
    Series(days_between, (2, 3, 4), 2),
    Series(date_after, (2, 3), 2),
    Series(shopping, LEVELS[:3], 2),
    Series(recipe, (1, 2), 2),
    Series(split_bill, (3, 4), 2),
    Series(units, (1, 2, 3), 2),
    Series(speed, (4, 5), 2),
)
