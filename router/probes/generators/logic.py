"""Questions of logic. Each is solved by going through all cases, has one solution, and is solved again in another way."""

import itertools
import random
from collections.abc import Sequence

from router.probes.generators.draft import (
    WORKED,
    DisagreementError,
    Draft,
    Series,
    agreed,
    choice_draft,
    number_draft,
    text_draft,
)

NAMES = ("Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gita", "Hugo")


def _only(found: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    if len(found) != 1:
        raise DisagreementError(f"{len(found)} solutions")
    return found[0]


def queue(rng: random.Random, level: int) -> Draft:
    """People in a row, from clues of who stands before whom, and of distances."""
    people = rng.sample(NAMES, 3 + level)
    clues: list[tuple[str, str, int]] = []
    while True:
        solutions = [o for o in itertools.permutations(sorted(people)) if all(_holds(o, clue) for clue in clues)]
        if len(solutions) == 1:
            break
        a, b = rng.sample(range(len(people)), 2)
        clue = (people[a], people[b], b - a if level > 2 and rng.random() < 0.4 else (1 if a < b else -1) * 100)
        if clue not in clues and not all(_holds(o, clue) for o in solutions):
            clues.append(clue)
    agreed([*_only(solutions)], [*(_placed([], people, clues) or [])])
    place = rng.randrange(len(people))
    said = " ".join(_said(clue) for clue in clues)
    query = (
        f"{', '.join(sorted(people))} stand in a row, first to last. {said} Who is number {place + 1} from the front?"
        '\nReason briefly. End with "Answer:" and the name.'
    )
    wrong = [f"Answer: {name}" for name in people if name != people[place]]
    return text_draft(query, level, people[place], wrong, work=True)


def _holds(order: Sequence[str], clue: tuple[str, str, int]) -> bool:
    distance = order.index(clue[1]) - order.index(clue[0])
    return distance * clue[2] > 0 if abs(clue[2]) == 100 else distance == clue[2]


def _placed(order: list[str], people: Sequence[str], clues: Sequence[tuple[str, str, int]]) -> list[str] | None:
    """The order, found person by person from the front: each step drops what a clue between placed people forbids."""
    known = [clue for clue in clues if clue[0] in order and clue[1] in order]
    if not all(_holds(order, clue) for clue in known):
        return None
    if len(order) == len(people):
        return order
    found = [_placed([*order, name], people, clues) for name in people if name not in order]
    return next((item for item in found if item), None)


def _said(clue: tuple[str, str, int]) -> str:
    a, b, distance = clue
    if abs(distance) == 100:
        return f"{a} stands somewhere {'before' if distance > 0 else 'behind'} {b}."
    places = f"{abs(distance)} place{'s' if abs(distance) > 1 else ''}"
    return f"{a} stands exactly {places} {'before' if distance > 0 else 'behind'} {b}."


def knights(rng: random.Random, level: int) -> Draft:
    """People who always tell the truth, or always lie."""
    people = rng.sample(NAMES, 2 + (level + 1) // 2)
    while True:
        kinds = [rng.choice(("liar", "knight", "same", "count")) for _ in people]
        others = [rng.choice([j for j in range(len(people)) if j != i]) for i in range(len(people))]
        claims = [(kind, i, others[i]) for i, kind in enumerate(kinds)]
        worlds = [
            world
            for world in itertools.product((True, False), repeat=len(people))
            if all(world[i] == _claim(kind, i, j, world) for kind, i, j in claims)
        ]
        if len(worlds) == 1:
            break
    (world,) = worlds
    found = [w for w in _masks(len(people)) if not any(w[i] != _claim(kind, i, j, w) for kind, i, j in claims)]
    agreed([list(w) for w in found], [list(world)])
    said = " ".join(f'{people[i]} says: "{_claimed(kind, people[j])}"' for kind, i, j in claims)
    names = [name for name, honest in zip(people, world, strict=True) if honest]
    query = (
        f"On an island each person is either a knight, who always tells the truth, or a liar, who always lies. {said}"
        ' How many of them are knights?\nReason briefly. End with "Answer:" and the number.'
    )
    draft = number_draft("", level, len(names), sum(world), work=True)
    return Draft(query, draft.checker, draft.reference, level, draft.right, draft.wrong, WORKED)


def _masks(count: int) -> list[tuple[bool, ...]]:
    return [tuple(bool(mask >> i & 1) for i in range(count)) for mask in range(2**count)]


def _claim(kind: str, speaker: int, other: int, world: Sequence[bool]) -> bool:
    match kind:
        case "liar":
            return not world[other]
        case "knight":
            return world[other]
        case "same":
            return world[speaker] == world[other]
        case _:
            return sum(world) == 1


def _claimed(kind: str, other: str) -> str:
    match kind:
        case "liar":
            return f"{other} is a liar."
        case "knight":
            return f"{other} is a knight."
        case "same":
            return f"{other} and I are of the same kind."
        case _:
            return "Exactly one of us is a knight."


def houses(rng: random.Random, level: int) -> Draft:
    """Who has which pet and which drink."""
    people = rng.sample(NAMES, 3 if level < 5 else 4)
    pets = rng.sample(("cat", "dog", "parrot", "rabbit"), len(people))
    drinks = rng.sample(("tea", "coffee", "milk", "juice"), len(people))
    facts = [f"{p} does not have the {q}." for i, p in enumerate(people) for j, q in enumerate(pets) if i != j]
    facts += [f"{p} does not drink {d}." for i, p in enumerate(people) for j, d in enumerate(drinks) if i != j]
    facts += [f"The owner of the {q} drinks {d}." for q, d in zip(pets, drinks, strict=True)]
    facts += [
        f"The owner of the {q} does not drink {d}." for i, q in enumerate(pets) for j, d in enumerate(drinks) if i != j
    ]
    rng.shuffle(facts)
    worlds = [
        (q, d) for q in itertools.permutations(sorted(pets)) for d in itertools.permutations(sorted(drinks))
    ]  # fmt: skip
    used: list[str] = []
    for fact in facts:
        left = [world for world in worlds if _true(fact, people, *world)]
        if len(left) < len(worlds):
            worlds, used = left, [*used, fact]
        if len(worlds) == 1:
            break
    agreed([*worlds[0][0], *worlds[0][1]], [*pets, *drinks])
    asked = rng.randrange(len(people))
    query = (
        f"{', '.join(people)} each have one pet ({', '.join(sorted(pets))}) and one favourite drink"
        f" ({', '.join(sorted(drinks))}), all different. {' '.join(used)} What does {people[asked]} drink?"
        '\nReason briefly. End with "Answer:" and the drink.'
    )
    return text_draft(query, level, drinks[asked], [f"Answer: {d}" for d in drinks if d != drinks[asked]], work=True)


def _true(fact: str, people: Sequence[str], pets: Sequence[str], drinks: Sequence[str]) -> bool:
    words = fact.rstrip(".").split()
    drink = words[-1]
    if words[0] == "The":
        same = pets.index(words[4]) == drinks.index(drink)
        return same != ("not" in words)
    place = people.index(words[0])
    return (pets[place] if words[3] == "have" else drinks[place]) != drink


def syllogism(rng: random.Random, level: int) -> Draft:
    """What follows from two sentences, found over all worlds of three properties, and over sets of two things."""
    a, b, c = rng.sample(("glims", "torvs", "plonks", "zirps", "mibs", "fands"), 3)
    forms = ("all", "no", "some") if level < 4 else ("all", "no", "some", "not")
    first, second = (rng.choice(forms), 0, 1), (rng.choice(forms), *rng.choice(((1, 2), (2, 1))))
    names = (a, b, c)
    conclusions = [("all", 0, 2), ("no", 0, 2), ("some", 0, 2), ("not", 0, 2)]
    kinds = range(1, 8)
    worlds = [[k for k in kinds if mask >> (k - 1) & 1] for mask in range(1, 128)]
    worlds = [w for w in worlds if all(any(k >> p & 1 for k in w) for p in range(3))]  # there are some of each
    valid = [x for x in conclusions if all(_in(x, w) for w in worlds if _in(first, w) and _in(second, w))]
    sets = [
        s
        for n in (1, 2, 3, 4, 5)
        for s in itertools.combinations(kinds, n)
        if all(any(k >> p & 1 for k in s) for p in range(3))
    ]
    checked = [x for x in conclusions if not any(_in(first, s) and _in(second, s) and not _in(x, s) for s in sets)]
    agreed([_sentence(x, names) for x in valid], [_sentence(x, names) for x in checked])
    strong = [x for x in valid if x[0] in ("all", "no")] or valid
    options = [*(_sentence(x, names) for x in conclusions), "None of these follows."]
    right = _sentence(strong[0], names) if strong else options[-1]
    shown = [o for o in options if o == right or o not in {_sentence(x, names) for x in valid}]
    query = (
        f"There are some {a}, some {b} and some {c}. {_sentence(first, names)} {_sentence(second, names)}"
        " Which sentence follows with certainty?"
    )
    return choice_draft(rng, query, level, shown, right, work=level > 2)


def _in(sentence: tuple[str, int, int], world: Sequence[int]) -> bool:
    form, p, q = sentence
    ps = [k for k in world if k >> p & 1]
    both = [k for k in ps if k >> q & 1]
    return {"all": len(both) == len(ps), "no": not both, "some": bool(both), "not": len(both) < len(ps)}[form]


def _sentence(sentence: tuple[str, int, int], names: Sequence[str]) -> str:
    form, p, q = sentence
    if form == "not":
        return f"Some {names[p]} are not {names[q]}."
    return f"{form.capitalize()} {names[p]} are {names[q]}."


def lock(rng: random.Random, level: int) -> Draft:
    """A code of three digits from tries with the number of right digits."""
    digits = "123456" if level < 5 else "12345678"
    code = "".join(rng.sample(digits, 3))
    tries: list[str] = []
    left = ["".join(p) for p in itertools.permutations(digits, 3)]
    everything = list(left)
    while len(left) > 1:
        guess = rng.choice(everything)
        if guess != code and guess not in tries:
            tries.append(guess)
            left = [item for item in left if _hits(guess, item) == _hits(guess, code)]
    again = [x for x in map("".join, itertools.product(digits, repeat=3)) if len({*x}) == 3]
    again = [x for x in again if all(_hits_by_counting(g, x) == _hits_by_counting(g, code) for g in tries)]
    agreed([*left], [*again])
    said = "; ".join(f"{g}: {_hits(g, code)[0]} right place, {_hits(g, code)[1]} wrong place" for g in tries)
    query = (
        f"A lock has a code of three different digits from 1 to {digits[-1]}. For each try it shows how many digits are"
        f" right and in the right place, and how many are in the code but in the wrong place: {said}."
        ' What is the code?\nReason briefly. End with "Answer:" and the three digits without spaces.'
    )
    draft = number_draft("", level, int(code), int(left[0]), work=True)
    return Draft(query, draft.checker, draft.reference, level, draft.right, draft.wrong, WORKED)


def _hits(guess: str, code: str) -> tuple[int, int]:
    right = sum(a == b for a, b in zip(guess, code, strict=True))
    return right, len(set(guess) & set(code)) - right


def _hits_by_counting(guess: str, code: str) -> tuple[int, int]:
    right = 3 - sum(a != b for a, b in zip(guess, code, strict=True))
    return right, sum(min(guess.count(digit), code.count(digit)) for digit in "12345678") - right


def weekdays(rng: random.Random, level: int) -> Draft:
    """Days of the week, by counting and by remainders."""
    days = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    today, shift = rng.randrange(7), rng.randint(8, 30) * 7 ** (level - 1) + rng.randint(1, 6)
    back = rng.randint(2, 12)
    cycle = itertools.islice(itertools.cycle(days), today, None)
    counted = next(itertools.islice(cycle, shift - back, None))
    answer = agreed(days[(today + shift - back) % 7], counted)
    query = (
        f"Today is {days[today]}. Which day of the week is it {back} days before the day that comes {shift} days from now?"
        " Answer with the day only."
    )
    return text_draft(query, level, str(answer), [day for day in days if day != answer])


SERIES = (
    Series(queue, (1, 2, 3, 4), 4),
    Series(knights, (2, 3, 4, 5), 3),
    Series(houses, (3, 4, 5), 3),
    Series(syllogism, (2, 3, 4), 4),
    Series(lock, (4, 5), 4),
    Series(weekdays, (1, 2, 3), 3),
)
