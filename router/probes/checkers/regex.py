"""The checker `regex`: the answer matches a pattern, and does not match another one."""

from router.probes.checker_spec import CheckerSpec
from router.probes.checkers.answer import Extracted
from router.probes.checkers.short_text import normalised
from router.probes.checkers.visible import plain_signs, unfenced
from router.probes.pattern import compiled


def check_regex(spec: CheckerSpec, text: str) -> Extracted:
    """Matches a visible text, stripped and with plain signs. The canonical form is the normalised text."""
    said = plain_signs(unfenced(text)).strip()
    without = spec.text("without")
    correct = compiled(spec.text("pattern")).found_in(said) and not (without and compiled(without).found_in(said))
    return Extracted(normalised(said) or None, False, correct)
