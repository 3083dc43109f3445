"""The checker `exact`: a short text, what a program prints, a list, a set or a Python literal that equals the reference."""

import ast
import re
from collections.abc import Iterator

from router.probes.checker_spec import CheckerSpec
from router.probes.checkers.answer import Extracted
from router.probes.checkers.final_part import parts
from router.probes.checkers.short_text import normalised, without_article
from router.probes.checkers.visible import fenced, plain_signs, unfenced
from router.probes.json_types import JsonValue

MOST_WORDS = 12
MOST_LITERAL = 4_000
_NOT_SURE = re.compile(
    r"(?<!\w)(?:not|n't|never|or|either|nicht|kein|oder|pas|ou|no|nunca|nem|não|niet|не|или)(?!\w)|不是|ではな|或者|または|/"
)
_SPLIT = re.compile(r"[,;\n、]|(?<!\w)(?:and|und|et|y|e|和|と)(?!\w)")
_BULLET = re.compile(r"^\s{0,8}(?:[-*•]|\d{1,3}[.)])\s+")
_ASSERTED = re.compile(r"==(?P<value>[^=].{0,4000})$", re.DOTALL)
_INLINE = re.compile(r"(?<!`)`([^`\n]{1,4000})`(?!`)")


def check_exact(spec: CheckerSpec, text: str, reference: JsonValue) -> Extracted:
    """Compares a visible text with the reference, as the option `compare` says.

    The canonical form is the text in one form, verbatim with single spaces; of a list its items, joined by "|"; of a literal
    its `repr`.
    """
    accepted = [reference, *_list(spec.options.get("accept"))]
    compare = spec.text("compare", "text")
    if compare == "literal":
        return _check_literal(text, [str(item) for item in accepted])
    if compare == "verbatim":
        return _check_verbatim(text, [" ".join(str(item).split()) for item in accepted])
    case = spec.flag("case")
    if compare in ("list", "set"):
        return _check_items(text, [_items(item, case) for item in accepted], case=case, ordered=compare == "list")
    return _check_text(text, [str(item) for item in accepted], case=case)


def _check_verbatim(text: str, accepted: list[str]) -> Extracted:
    """Compares every sign, except for the number of spaces and line breaks: of what a program prints, a point counts."""
    first: Extracted | None = None
    for said, complete in _candidates(text):
        form = " ".join(said.strip().strip("`").split())
        for item in (form, form.strip("*").strip().strip("`").strip()):
            if item in accepted:
                return Extracted(item, complete, True)
        if first is None and form:
            first = Extracted(form, complete, False)
    return first or Extracted(None, False, False)


def _check_text(text: str, accepted: list[str], *, case: bool) -> Extracted:
    forms = {
        without_article(normalised(plain_signs(item), case=case)): normalised(item, case=case) for item in accepted
    }
    candidates = list(_candidates(plain_signs(text)))
    for said, complete in candidates:
        form = without_article(normalised(said, case=case))
        if form in forms:
            return Extracted(forms[form], complete, True)
    for said, complete in candidates:
        if (found := _within(normalised(said, case=case), forms)) is not None:
            return Extracted(forms[found], complete, True)
    said, complete = candidates[0] if candidates else ("", False)
    return Extracted(normalised(said, case=case) or None, complete, False)


def _candidates(text: str) -> Iterator[tuple[str, bool]]:
    """The texts that may be the short answer, and whether each is complete. Where one says that it is, the others do not count."""
    found = list(parts(text))
    blocks = fenced(text)
    for kind in ("boxed", "marked"):
        said = next((part for part in found if part.kind == kind), None)
        if said is not None:
            if not said.text.startswith("```"):
                yield said.text, said.complete
            yield from ((block, False) for block in blocks[-1:])
            return
    yield unfenced(text), False
    yield from ((block, False) for block in reversed(blocks))
    yield from ((part.text, part.complete) for part in found if part.kind in ("line", "bold"))


def _within(said: str, forms: dict[str, str]) -> str | None:
    """The accepted form that a short sentence holds: "the capital is canberra". None if it denies it, or names an alternative."""
    if len(said.split()) > MOST_WORDS or len(said) > 8 * MOST_WORDS:
        return None
    for form in sorted(forms, key=len, reverse=True):
        spaced = form.isascii() or not re.search(r"[\u3040-\u30ff\u4e00-\u9fff]", form)
        pattern = rf"(?<!\w){re.escape(form)}(?!\w)" if spaced else re.escape(form)
        match = re.search(pattern, said) if form else None
        if match and not _NOT_SURE.search(said[: match.start()].casefold() + " " + said[match.end() :].casefold()):
            return form
    return None


def _check_items(text: str, accepted: list[list[str]], *, case: bool, ordered: bool) -> Extracted:
    first: Extracted | None = None
    for said, complete in _candidates(plain_signs(text)):
        items = _items(said, case)
        if not ordered:
            items = sorted(set(items))
        if first is None and items:
            first = Extracted("|".join(items), complete, False)
        if items and items in ([sorted(set(item)) for item in accepted] if not ordered else accepted):
            return Extracted("|".join(items), complete, True)
    return first or Extracted(None, False, False)


def _items(value: JsonValue, case: bool) -> list[str]:
    """The items of a list in text: bullets, lines or commas; a line that ends with a colon introduces it."""
    if isinstance(value, list):
        return [normalised(plain_signs(str(item)), case=case) for item in value]
    lines = [line for line in str(value).splitlines() if not line.rstrip(" *").endswith(":")]
    pieces = [piece for line in lines for piece in _SPLIT.split(_BULLET.sub("", line))]
    return [form for piece in pieces if (form := normalised(piece, case=case))]


def _check_literal(text: str, accepted: list[str]) -> Extracted:
    expected = {canonical_literal(item) or item for item in accepted}
    bare = {ast.literal_eval(item): item for item in expected if item[:1] in "'\""}
    first: Extracted | None = None
    for said, certain in _literal_candidates(text):
        form = canonical_literal(said)
        if form is None and said.strip() in bare:  # the text of a string, without quotation marks
            form = bare[said.strip()]
        if form is not None:
            found = Extracted(form, certain and form[-1] in "])}'", form in expected)
            if found.correct or certain:
                return found
            first = first or found
    return first or Extracted(None, False, False)


def _literal_candidates(text: str) -> Iterator[tuple[str, bool]]:
    whole = unfenced(text)
    yield whole, True
    asserted = _ASSERTED.search(whole) if "\n" not in whole.strip() else None
    if asserted:
        yield asserted["value"], True
    found = list(parts(text))
    for part in found:
        if part.kind in ("boxed", "marked"):
            yield part.text.strip("*").strip(), True
            yield part.text.strip("*` ").rstrip(".").strip("`").strip(), True
    for block in reversed(fenced(text)):
        yield block, False
        last = _ASSERTED.search(block.strip().splitlines()[-1]) if block.strip() else None
        if last:
            yield last["value"], False
    yield from ((said, False) for said in reversed(_INLINE.findall(text)))
    yield from ((part.text.strip("*` ").rstrip("."), False) for part in found)


def canonical_literal(text: str) -> str | None:
    """The `repr` of a Python literal, with sets and dictionaries in order; None if the text is none."""
    if len(text) > MOST_LITERAL:
        return None
    try:
        return _literal_form(ast.literal_eval(text.strip()))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _literal_form(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(sorted(f"{_literal_form(k)}: {_literal_form(v)}" for k, v in value.items())) + "}"
    if isinstance(value, set):
        return "{" + ", ".join(sorted(map(_literal_form, value))) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_literal_form, value)) + "]"
    if isinstance(value, tuple):
        return "(" + ", ".join(map(_literal_form, value)) + ("," if len(value) == 1 else "") + ")"
    return repr(value)


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []
