"""Generates questions with known answers, similar to those of the public benchmarks that the router was trained on.

A template generates a question from random numbers, and finds its own questions in a prompt to answer them.
"""

import itertools
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Template:
    """One form of question.

    Attributes:
        kind: the skill that the question requires.
        text: the question, with a field such as `{a}` for each number.
        ranges: the bounds of each number, inclusive.
        answer: returns the correct answer for the numbers.
        options: the letters of a multiple-choice question, one of which is the answer; "" for any other question.
    """

    kind: str
    text: str
    ranges: dict[str, tuple[int, int]]
    answer: Callable[..., str]
    options: str = ""

    def ask(self, rng: random.Random) -> str:
        """Return the question with random numbers."""
        return self.text.format(**{name: rng.randint(low, high) for name, (low, high) in self.ranges.items()})

    def solve(self, prompt: str) -> str | None:
        """Return the correct answer if the prompt contains this question, else None."""
        match = self._pattern.search(" ".join(prompt.split()))
        if match is None:
            return None
        return self.answer(**{name: int(value) for name, value in match.groupdict().items()})

    @cached_property
    def _pattern(self) -> "re.Pattern[str]":
        pattern = re.escape(" ".join(self.text.replace("{{", "{").replace("}}", "}").split()))
        for name in self.ranges:
            field = re.escape("{" + name + "}")
            pattern = pattern.replace(field, rf"(?P<{name}>\d+)", 1).replace(field, rf"(?P={name})")
        return re.compile(pattern)


TEMPLATES = (
    Template(
        "word problems",
        "Natalia has {a} boxes of pencils with {b} pencils in each box. She gives {c} pencils to her friends and then buys "
        "{d} more boxes of the same size. How many pencils does Natalia have now?",
        {"a": (3, 19), "b": (6, 24), "c": (2, 17), "d": (2, 9)},
        lambda a, b, c, d: str(a * b - c + d * b),
    ),
    Template(
        "word problems",
        "A bakery sells {a} loaves of bread every morning and {b} loaves every afternoon. Each loaf costs ${c}. How much "
        "money does the bakery make in {d} days?",
        {"a": (10, 60), "b": (5, 40), "c": (2, 7), "d": (2, 14)},
        lambda a, b, c, d: str((a + b) * c * d),
    ),
    Template(
        "word problems",
        "Tom drives {a} miles per hour for {b} hours, rests, and then drives {c} miles per hour for {d} hours. How many "
        "miles does Tom drive in total?",
        {"a": (30, 70), "b": (2, 6), "c": (25, 65), "d": (2, 5)},
        lambda a, b, c, d: str(a * b + c * d),
    ),
    Template(
        "competition math",
        "Let $r$ and $s$ be the roots of the quadratic equation $x^2 - {a}x + {b} = 0$. Find the value of $r^2 + s^2$.",
        {"a": (7, 40), "b": (2, 12)},
        lambda a, b: str(a * a - 2 * b),
    ),
    Template(
        "competition math",
        "Find the remainder when ${a}^{{{b}}}$ is divided by ${c}$.",
        {"a": (2, 30), "b": (5, 60), "c": (7, 97)},
        lambda a, b, c: str(pow(a, b, c)),
    ),
    Template(
        "competition math",
        "How many positive integers less than or equal to ${a}$ are divisible by ${b}$ or by ${c}$?",
        {"a": (100, 900), "b": (3, 11), "c": (12, 25)},
        lambda a, b, c: str(sum(n % b == 0 or n % c == 0 for n in range(1, a + 1))),
    ),
    Template(
        "code",
        "What does the following Python function return for the given input?\n\ndef f(nums, k):\n    out = []\n"
        "    for i, n in enumerate(nums):\n        if n % k == 0:\n            out.append(n // k + i)\n    return out\n\n"
        "f([{a}, {b}, {c}, {d}], {k})",
        {"a": (2, 60), "b": (2, 60), "c": (2, 60), "d": (2, 60), "k": (2, 4)},
        lambda a, b, c, d, k: str([n // k + i for i, n in enumerate((a, b, c, d)) if n % k == 0]),
    ),
    Template(
        "code",
        "What does the following Python function return for the given input?\n\ndef f(text, n):\n"
        "    text = text[n:] + text[:n]\n    return text.upper().replace('B', str(n))\n\nf('abcde' * {a}, {n})",
        {"a": (1, 4), "n": (1, 4)},
        lambda a, n: repr((("abcde" * a)[n:] + ("abcde" * a)[:n]).upper().replace("B", str(n))),
    ),
    Template(
        "code",
        "What does the following Python function return for the given input?\n\ndef f(d, keys):\n    total = 0\n"
        "    for key in keys:\n        total += d.pop(key, -1)\n    return total, len(d)\n\n"
        "f({{'x': {a}, 'y': {b}, 'z': {c}}}, ['x', 'z', 'x'])",
        {"a": (1, 99), "b": (1, 99), "c": (1, 99)},
        lambda a, b, c: str((a + c - 1, 1)),
    ),
    Template(
        "science",
        "A block of mass {m} kg on a frictionless horizontal surface is pushed by a constant net force and accelerates at "
        "{a} m/s^2. What is its kinetic energy after {t} s, starting from rest? Answer in joules, rounded down.",
        {"m": (2, 20), "a": (2, 9), "t": (2, 9)},
        lambda m, a, t: str(m * (a * t) ** 2 // 2),
    ),
    Template(
        "science",
        "An ideal gas at {p} kPa occupies {v} litres. It is compressed isothermally until its pressure is {q} kPa. Which "
        "of the following is closest to its new volume in litres, rounded down?",
        {"p": (50, 150), "v": (10, 80), "q": (160, 400)},
        lambda p, v, q: str(p * v // q),
    ),
    Template(
        "science",
        "Two resistors of {a} ohm and {b} ohm are connected in series to a {v} V battery. What is the total power "
        "dissipated in the circuit, in milliwatts, rounded down?",
        {"a": (10, 90), "b": (10, 90), "v": (3, 24)},
        lambda a, b, v: str(v * v * 1000 // (a + b)),
    ),
    Template(
        "Chinese",
        "小明有{a}本书，小红的书比小明多{b}本，小华的书是小红的{c}倍。三个人一共有多少本书？",
        {"a": (5, 40), "b": (3, 30), "c": (2, 5)},
        lambda a, b, c: str(a + (a + b) * (c + 1)),
    ),
    Template(
        "Chinese",
        "以下是中国关于数学考试的题目。一个长方形的长是{a}厘米，宽是{b}厘米，它的面积是多少平方厘米？",
        {"a": (6, 60), "b": (3, 50)},
        lambda a, b: str(a * b),
    ),
    Template(
        "Chinese",
        "某工厂原计划每天生产{a}个零件，{b}天完成任务。实际每天多生产{c}个，实际比原计划多生产多少个零件（仍生产{b}天）？",
        {"a": (50, 200), "b": (5, 30), "c": (5, 40)},
        lambda a, b, c: str(b * c),
    ),
    Template(
        "multiple choice",
        "Today is Monday. Which day of the week is it in {a} days?\nA. Monday\nB. Tuesday\nC. Wednesday\nD. Thursday\nE. Friday\n"
        "F. Saturday\nG. Sunday",
        {"a": (8, 2_000)},
        lambda a: "ABCDEFG"[a % 7],
        "ABCDEFG",
    ),
    Template(
        "multiple choice",
        "A string of lamps repeats the colors red, green, blue, yellow and white in this order, beginning with red. Which color "
        "has lamp number {a}?\nA. red\nB. green\nC. blue\nD. yellow\nE. white",
        {"a": (6, 2_000)},
        lambda a: "ABCDE"[(a - 1) % 5],
        "ABCDE",
    ),
    Template(
        "multiple choice",
        "A ship sails north. It turns right by 90 degrees {a} times and then left by 90 degrees {b} times. In which direction does "
        "it sail now?\nA. north\nB. east\nC. south\nD. west",
        {"a": (2, 60), "b": (2, 60)},
        lambda a, b: "ABCD"[(a - b) % 4],
        "ABCD",
    ),
)
KINDS = tuple(dict.fromkeys(template.kind for template in TEMPLATES))


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its correct answer, and the letters of its options if it is a multiple-choice question."""

    kind: str
    prompt: str
    answer: str
    options: str = ""


def generate(number: int, seed: int) -> Iterator[Question]:
    """Yield distinct questions, one template after the other. The same seed gives the same questions."""
    rng = random.Random(seed)
    seen: set[str] = set()
    for template in itertools.cycle(TEMPLATES):
        if len(seen) == number:
            return
        prompt = template.ask(rng)
        answer = template.solve(prompt)
        if prompt not in seen and answer is not None:
            seen.add(prompt)
            yield Question(template.kind, prompt, answer, template.options)


def find_question(prompt: str) -> Question | None:
    """Return the generated question that a prompt contains, or None."""
    for template in TEMPLATES:
        answer = template.solve(prompt)
        if answer is not None:
            return Question(template.kind, prompt, answer, template.options)
    return None
