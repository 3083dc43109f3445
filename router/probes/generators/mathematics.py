"""Questions of mathematics. Each answer comes from a formula and from counting or trying."""

import itertools
import math
import random
from fractions import Fraction

from router.probes.generators.draft import LEVELS, Draft, Series, number_draft


def arithmetic(rng: random.Random, level: int) -> Draft:
    size = 10 ** min(level, 3)
    a, b, c = (rng.randint(size // 5 + 2, size + 9) for _ in range(3))
    if level < 3:
        return number_draft(f"What is {a} × {b} − {c}?", level, a * b - c, sum([a] * b) - c, work=False)
    d = rng.randint(3, 9)
    second = sum(a * digit * 10**place for place, digit in enumerate(map(int, reversed(str(b))))) - c * d
    return number_draft(f"What is {a} × {b} − {c} × {d}?", level, a * b - c * d, second, work=level > 3)


def percent(rng: random.Random, level: int) -> Draft:
    price, rate = 20 * rng.randint(5, 40), 5 * rng.randint(2, 9)
    if level == 1:
        query = f"What is {rate}% of {price}?"
        return number_draft(query, level, price * rate // 100, int(Fraction(rate, 100) * price), work=False)
    back = 5 * rng.randint(2, 9)
    query = f"A price of {price} euros rises by {rate}% and then falls by {back}%. What is it then, in euros?"
    exact = Fraction(price) * (100 + rate) * (100 - back) / 10_000
    risen = price + Fraction(price * rate, 100)
    return number_draft(query, level, float(exact), float(risen - risen * back / 100), work=True)


def linear(rng: random.Random, level: int) -> Draft:
    x, a, c = rng.randint(-9, 12), rng.randint(4, 9), rng.randint(1, 3)
    b = rng.randint(-20, 20)
    right = (a - c) * x + b
    query = f"Solve for x: {a}x {b:+d} = {f'{c}x' if c > 1 else 'x'} {right:+d}".replace("+", "+ ").replace("-", "− ")
    tried = [value for value in range(-50, 51) if a * value + b == c * value + right]
    return number_draft(query, level, Fraction(right - b, a - c).numerator, tried[0], work=level > 1)


def divisors(rng: random.Random, level: int) -> Draft:
    n = math.prod(rng.choice((2, 3, 5, 7)) for _ in range(level + 2)) * rng.choice((1, 11, 13))
    product = 1
    rest, prime = n, 2
    while rest > 1:
        power = 0
        while rest % prime == 0:
            rest, power = rest // prime, power + 1
        product *= power + 1
        prime += 1
    return number_draft(
        f"How many positive divisors does {n} have?",
        level,
        product,
        sum(n % k == 0 for k in range(1, n + 1)),
        work=True,
    )


def common_multiple(rng: random.Random, level: int) -> Draft:
    numbers = rng.sample(range(6, 10 + 10 * level), 2 if level < 3 else 3)
    listed = ", ".join(map(str, numbers[:-1])) + f" and {numbers[-1]}"
    step = max(numbers)
    tried = next(value for value in itertools.count(step, step) if all(value % number == 0 for number in numbers))
    return number_draft(f"What is the least common multiple of {listed}?", level, math.lcm(*numbers), tried, work=True)


def power_remainder(rng: random.Random, level: int) -> Draft:
    base, modulus = rng.randint(2, 12), rng.choice((7, 11, 13, 17, 19, 23) if level < 5 else (91, 77, 143, 221))
    exponent = rng.randint(5, 9) * 10 ** (level - 2)
    slow = 1
    for _ in range(exponent):
        slow = slow * base % modulus
    query = f"What is the remainder when {base}^{exponent} is divided by {modulus}?"
    return number_draft(query, level, pow(base, exponent, modulus), slow, work=True)


def remainders(rng: random.Random, level: int) -> Draft:
    moduli = rng.sample((3, 4, 5, 7, 11, 13), 2 if level < 5 else 3)
    while math.lcm(*moduli) != math.prod(moduli):
        moduli = rng.sample((3, 4, 5, 7, 11, 13), 2 if level < 5 else 3)
    number = rng.randint(max(moduli), math.prod(moduli) - 1)
    parts = " and ".join(f"{number % m} when divided by {m}" for m in moduli)
    tried = next(k for k in itertools.count(0) if all(k % m == number % m for m in moduli))
    total, product = 0, math.prod(moduli)
    for m in moduli:
        total += number % m * (product // m) * pow(product // m, -1, m)
    query = f"What is the smallest non-negative integer that leaves a remainder of {parts}?"
    return number_draft(query, level, total % product, tried, work=True)


def committees(rng: random.Random, level: int) -> Draft:
    women, men = rng.randint(4, 6), rng.randint(4, 6)
    size = rng.randint(3, 4)
    people = ["w"] * women + ["m"] * men
    least = level - 2
    counted = sum(group.count("w") >= least for group in itertools.combinations(people, size))
    formula = sum(math.comb(women, k) * math.comb(men, size - k) for k in range(least, size + 1))
    query = (
        f"From {women} women and {men} men a group of {size} is chosen. In how many ways can it be chosen"
        f" so that it has at least {least} {'woman' if least == 1 else 'women'}?"
    )
    return number_draft(query, level, formula, counted, work=True)


def dice(rng: random.Random, level: int) -> Draft:
    count = 2 if level < 4 else 3
    total = rng.randint(count + 3, 6 * count - 3)
    throws = list(itertools.product(range(1, 7), repeat=count))
    counted = Fraction(sum(sum(throw) == total for throw in throws), len(throws))
    ways = {0: 1}
    for _ in range(count):
        ways = {s: sum(ways.get(s - face, 0) for face in range(1, 7)) for s in range(1, 6 * count + 1)}
    query = f"{count} fair dice are thrown. What is the probability that the sum is {total}?"
    ending = ' Give it as a fraction a/b. Work it out briefly and end with "Answer:".'
    draft = number_draft(query, level, str(Fraction(ways[total], 6**count)), str(counted), work=True)
    return Draft(query + ending, draft.checker, draft.reference, level, draft.right, draft.wrong, draft.max_tokens)


def sequence(rng: random.Random, level: int) -> Draft:
    a, b, p, q = rng.randint(1, 5), rng.randint(1, 5), rng.randint(1, 2), rng.randint(1, 3)
    place = 5 + 2 * (level - 2)
    values = [a, b]
    while len(values) < place:
        values.append(p * values[-1] + q * values[-2])

    def term(n: int) -> int:
        return (a, b)[n - 1] if n < 3 else p * term(n - 1) + q * term(n - 2)

    factor = "" if p == 1 else f"{p}·"
    other = "" if q == 1 else f"{q}·"
    query = f"A sequence has a(1) = {a}, a(2) = {b} and a(n) = {factor}a(n−1) + {other}a(n−2). What is a({place})?"
    return number_draft(query, level, values[place - 1], term(place), work=True)


def counting(rng: random.Random, level: int) -> Draft:
    m, n = rng.sample((3, 4, 5, 6, 7, 9, 11), 2)
    top = rng.choice((200, 300, 500, 1_000)) * (1 if level < 4 else 3)
    both = top // m + top // n - 2 * (top // math.lcm(m, n))
    counted = sum((k % m == 0) != (k % n == 0) for k in range(1, top + 1))
    query = f"How many integers from 1 to {top} are divisible by exactly one of {m} and {n}?"
    return number_draft(query, level, both, counted, work=True)


def paths(rng: random.Random, level: int) -> Draft:
    width, height = rng.randint(4, 3 + level), rng.randint(3, 5)
    x, y = rng.randint(1, width - 1), rng.randint(1, height - 1)
    total = math.comb(width + height, height) - math.comb(x + y, y) * math.comb(width - x + height - y, height - y)
    ways = [[0] * (height + 1) for _ in range(width + 1)]
    for i, j in itertools.product(range(width + 1), range(height + 1)):
        if (i, j) == (x, y):
            continue
        ways[i][j] = 1 if i == j == 0 else (ways[i - 1][j] if i else 0) + (ways[i][j - 1] if j else 0)
    query = (
        f"On a grid one walks from (0, 0) to ({width}, {height}), each step one to the right or one up."
        f" How many ways are there that do not pass through ({x}, {y})?"
    )
    return number_draft(query, level, total, ways[width][height], work=True)


def determinant(rng: random.Random, level: int) -> Draft:
    rows = [[rng.randint(-4, 6) for _ in range(3)] for _ in range(3)]
    (a, b, c), (d, e, f), (g, h, i) = rows
    first = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    second = sum(
        (-1) ** sum(p[k] > p[m] for k in range(3) for m in range(k + 1, 3)) * math.prod(rows[k][p[k]] for k in range(3))
        for p in itertools.permutations(range(3))
    )
    return number_draft(
        f"What is the determinant of the matrix {rows}, given by rows?", level, first, second, work=True
    )


def derangements(rng: random.Random, level: int) -> Draft:
    n, fixed = rng.randint(5, 6), rng.randint(0, 2)
    counted = sum(sum(k == p for k, p in enumerate(order)) == fixed for order in itertools.permutations(range(n)))
    rest = n - fixed
    formula = math.comb(n, fixed) * sum((-1) ** k * math.factorial(rest) // math.factorial(k) for k in range(rest + 1))
    how = {0: "no one gets their own coat", 1: "exactly one person gets their own coat"}
    goal = how.get(fixed, f"exactly {fixed} people get their own coat")
    query = (
        f"{n} people leave {n} coats and get one each back at random. In how many ways can this happen so that {goal}?"
    )
    return number_draft(query, level, formula, counted, work=True)


def trailing_zeros(rng: random.Random, level: int) -> Draft:
    n = rng.randint(30, 120) * (1 if level < 4 else 3)
    digits = str(math.factorial(n))
    formula = sum(n // 5**k for k in range(1, 6))
    query = f"With how many zeros does {n}! (the factorial of {n}) end in decimal notation?"
    return number_draft(query, level, formula, len(digits) - len(digits.rstrip("0")), work=True)


def rectangle(rng: random.Random, level: int) -> Draft:
    b = rng.randint(3, 20)
    a = b + rng.randint(2, 15)
    query = f"A rectangle has a perimeter of {2 * (a + b)} cm and is {abs(a - b)} cm longer than wide. What is its area in cm²?"
    half = a + b
    long = (half + abs(a - b)) // 2
    tried = [w * (w + abs(a - b)) for w in range(1, 100) if 2 * (2 * w + abs(a - b)) == 2 * half]
    return number_draft(query, level, long * (half - long), tried[0], work=True)


SERIES = (
    Series(arithmetic, LEVELS[:4], 3),
    Series(percent, (1, 2, 3), 3),
    Series(linear, (1, 2), 3),
    Series(divisors, (2, 3, 4), 2),
    Series(common_multiple, (1, 2, 3), 2),
    Series(power_remainder, (3, 4, 5), 2),
    Series(remainders, (4, 5), 3),
    Series(committees, (3, 4), 3),
    Series(dice, (3, 4), 3),
    Series(sequence, (2, 3, 4), 2),
    Series(counting, (3, 4), 3),
    Series(paths, (4, 5), 3),
    Series(determinant, (4,), 3),
    Series(derangements, (5,), 3),
    Series(trailing_zeros, (3, 4), 2),
    Series(rectangle, (2, 3), 2),
)
