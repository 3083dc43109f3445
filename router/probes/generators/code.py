"""Questions about code: what a program prints, found by running it and by another computation; and functions to write."""

import contextlib
import io
import random
from collections.abc import Callable

from router.probes.generators.code_tasks import Task, code_tasks
from router.probes.generators.draft import LEVELS, SHORT, Draft, Series, agreed
from router.probes.json_types import JsonObject

ASKED = "What does this Python program print? Answer with the output only.\n```python\n{}\n```"

CODE = 400


def printed(program: str) -> str:
    """What a program of this module prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(program, "program", "exec"), {})
    return out.getvalue().strip()


def _output(level: int, program: str, other: object) -> Draft:
    reference = str(agreed(printed(program), str(other)))
    wrong = [f"{reference}0", "None", f"{reference[1:]}x" if len(reference) > 1 else "x", f"'{reference}'"]
    checker: JsonObject = {"type": "exact", "compare": "verbatim"}
    return Draft(ASKED.format(program.strip()), checker, reference, level, f"```\n{reference}\n```", wrong, SHORT)


def running_total(rng: random.Random, level: int) -> Draft:
    n, step, skip = rng.randint(5, 9 + 2 * level), rng.randint(2, 4), rng.randint(2, 4)
    program = (
        f"total = 0\nfor i in range(1, {n}):\n    if i % {skip} == 0:\n        continue\n"
        f"    total += i * {step}\nprint(total)"
    )
    return _output(level, program, step * (n * (n - 1) // 2 - sum(range(skip, n, skip))))


def text_slices(rng: random.Random, level: int) -> Draft:
    word = rng.choice(
        ("gateway", "lighthouse", "mountain", "telescope", "harbour", "orchestra", "pineapple", "wanderer")
    )
    a, b = rng.randint(1, 3), rng.randint(1, 2)
    if level == 1:
        return _output(level, f'word = "{word}"\nprint(word[{a}:-{b}])', "".join(list(word)[a : len(word) - b]))
    program = f'word = "{word}"\nprint(word[::-1][{a}:] + word[{b}::2].upper())'
    backwards = "".join(word[len(word) - 1 - k] for k in range(a, len(word)))
    return _output(
        level, program, backwards + "".join(c.upper() for k, c in enumerate(word) if k >= b and (k - b) % 2 == 0)
    )


def counted_letters(rng: random.Random, level: int) -> Draft:
    text = " ".join(rng.sample(("blue", "banana", "bread", "cellar", "cherry", "coffee", "apple", "letter"), 2 + level))
    program = (
        f'text = "{text}"\ncounts = {{}}\nfor c in text.replace(" ", ""):\n    counts[c] = counts.get(c, 0) + 1\n'
        "best = max(counts.values())\nprint(sorted(c for c in counts if counts[c] == best), best)"
    )
    letters = sorted(set(text) - {" "})
    most = max(text.count(c) for c in letters)
    return _output(level, program, f"{[c for c in letters if text.count(c) == most]} {most}")


def list_changes(rng: random.Random, level: int) -> Draft:
    values = rng.sample(range(1, 20), 4 + level // 2)
    index, new = rng.randint(0, 2), rng.randint(20, 30)
    moved = f"c.insert({index}, a.pop({index}))"
    program = f"a = {values}\nb = a\nc = a[:]\nb.append({new})\n{moved}\nprint(a[-2:], len(b), c[{index} + 1])"
    left = [v for k, v in enumerate(values) if k != index] + [new]
    copied = [*values[:index], values[index], *values[index:]]
    return _output(level, program, f"{left[-2:]} {len(left)} {copied[index + 1]}")


def default_argument(rng: random.Random, level: int) -> Draft:
    a, b, c = rng.sample(range(1, 30), 3)
    program = (
        f"def add(item, box=[]):\n    box.append(item)\n    return sum(box)\n\n"
        f"print(add({a}), add({b}, [{c}]), add({c}))"
    )
    return _output(level, program, f"{a} {c + b} {a + c}")


def closures(rng: random.Random, level: int) -> Draft:
    n, x = rng.randint(3, 5), rng.randint(2, 9)
    program = (
        f"late = [lambda x: x * i for i in range({n})]\nearly = [lambda x, i=i: x + i for i in range({n})]\n"
        f"print([f({x}) for f in late][0], [f({x}) for f in early][-1])"
    )
    return _output(level, program, f"{x * (n - 1)} {x + n - 1}")


def recursion(rng: random.Random, level: int) -> Draft:
    n, a, b = rng.randint(4, 4 + level), rng.randint(2, 3), rng.randint(1, 4)
    program = f"def f(n):\n    if n < 2:\n        return n + {b}\n    return {a} * f(n - 1) - f(n - 2)\n\nprint(f({n}))"
    values = [b, 1 + b]
    for _ in range(n - 1):
        values.append(a * values[-1] - values[-2])
    return _output(level, program, values[n])


def generator_state(rng: random.Random, level: int) -> Draft:
    start, step, stop = rng.randint(1, 5), rng.randint(2, 5), rng.randint(30, 60)
    program = (
        f"def walk():\n    x = {start}\n    while x < {stop}:\n        y = yield x\n"
        f"        x = x + {step} if y is None else x * y\n\n"
        "w = walk()\nseen = [next(w), next(w)]\nseen.append(w.send(2))\nseen += list(w)[:2]\nprint(seen)"
    )
    third = 2 * (start + step)
    rest = list(range(third + step, stop, step))[:2]
    return _output(level, program, [start, start + step, third, *rest])


def exceptions(rng: random.Random, level: int) -> Draft:
    values = rng.sample(("4", "x", "0", "7", "2.5", "10"), 5)
    program = (
        f"out = []\nfor v in {values}:\n    try:\n        out.append(20 // int(v))\n    except ValueError:\n"
        "        out.append('v')\n    except ZeroDivisionError:\n        break\n    else:\n        out.append('+')\n"
        "    finally:\n        out.append('.')\nprint(''.join(map(str, out)))"
    )
    text = ""
    for value in values:
        if value == "0":
            text += "."
            break
        text += f"{20 // int(value)}+." if value.isdigit() else "v."
    return _output(level, program, text)


def classes(rng: random.Random, level: int) -> Draft:
    a, b, c = (rng.randint(2, 9) for _ in range(3))
    program = (
        f"class A:\n    count = {a}\n\n    def up(self):\n        self.count += {b}\n        return self\n\n"
        f"class B(A):\n    def up(self):\n        super().up()\n        B.count = {c}\n        return self\n\n"
        "x, y = B(), B()\nx.up()\ny.up()\nprint(x.count, y.count, A.count, B.count)"
    )
    return _output(level, program, f"{a + b} {c + b} {a} {c}")


def bits(rng: random.Random, level: int) -> Draft:
    a, b, s = rng.randint(20, 120), rng.randint(20, 120), rng.randint(1, 3)
    program = f"a, b = {a}, {b}\nprint(a & b, a ^ b, (a << {s}) | 1, bin(b).count('1'))"
    wide = range(8)
    both = sum(2**k for k in wide if a // 2**k % 2 and b // 2**k % 2)
    one = sum(2**k for k in wide if a // 2**k % 2 != b // 2**k % 2)
    return _output(level, program, f"{both} {one} {a * 2**s + 1} {sum(b // 2**k % 2 for k in wide)}")


def nested_sort(rng: random.Random, level: int) -> Draft:
    names = rng.sample(("Mia", "Tom", "Zoe", "Ben", "Ida", "Leo", "Ana"), 5)
    points = [rng.randint(3, 6) for _ in names]
    pairs = list(zip(names, points, strict=True))
    program = f"rows = {pairs}\nrows.sort(key=lambda r: (-r[1], r[0]))\nprint([name for name, _ in rows[1:4]])"
    order: list[str] = []
    for score in range(6, 2, -1):
        order += sorted(name for name, point in pairs if point == score)
    return _output(level, program, order[1:4])


def collatz(rng: random.Random, level: int) -> Draft:
    n, cap = rng.randint(9, 30), rng.randint(8, 14)
    program = (
        f"n, steps, top = {n}, 0, 0\nwhile n != 1 and steps < {cap}:\n    n = n // 2 if n % 2 == 0 else 3 * n + 1\n"
        "    top = max(top, n)\n    steps += 1\nprint(n, steps, top)"
    )
    seen = [n]
    while seen[-1] != 1 and len(seen) <= cap:
        seen.append(seen[-1] // 2 if seen[-1] % 2 == 0 else 3 * seen[-1] + 1)
    return _output(level, program, f"{seen[-1]} {len(seen) - 1} {max(seen[1:])}")


def dictionary_merge(rng: random.Random, level: int) -> Draft:
    a, b, c, d = rng.sample(range(1, 40), 4)
    program = (
        f"a = {{'x': {a}, 'y': {b}}}\nb = {{'y': {c}, 'z': {d}}}\nm = {{**a, **b}}\nm['x'] = m.pop('y') - m.get('w', 1)\n"
        "print(list(m), sum(m.values()))"
    )
    return _output(level, program, f"['x', 'z'] {c - 1 + d}")


def _writing(task: Task) -> Callable[[random.Random, int], Draft]:
    def write(_: random.Random, level: int) -> Draft:
        query = f"Write a Python function `{task.signature}` that {task.does} Answer with the code only, without an example."
        answer, wrong = (f"```python\n{code}\n```" for code in (task.right, task.wrong))
        return Draft(query, {"type": "python", "tests": task.tests}, task.right, level, answer, [wrong], CODE)

    write.__name__ = f"write_{task.signature.partition('(')[0]}"
    return write


SERIES = (
    Series(running_total, (1, 2, 3), 2),
    Series(text_slices, (1, 2), 3),
    Series(counted_letters, (2, 3), 2),
    Series(list_changes, (3, 4), 2),
    Series(default_argument, (3,), 3),
    Series(closures, (4,), 3),
    Series(recursion, LEVELS[1:5], 2),
    Series(generator_state, (5,), 3),
    Series(exceptions, (4,), 4),
    Series(classes, (5,), 3),
    Series(bits, (4, 5), 2),
    Series(nested_sort, (3,), 3),
    Series(collatz, (4, 5), 2),
    Series(dictionary_merge, (2, 3), 2),
    *(Series(_writing(task), (task.level,)) for task in code_tasks()),
)
