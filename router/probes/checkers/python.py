"""The checker `python`: code of the answer passes tests, in a process of its own with limits."""

import re

from router.probes.checker_spec import CheckerSpec
from router.probes.checkers.answer import Extracted
from router.probes.checkers.sandbox import DEFAULT_CPU_S, passes
from router.probes.checkers.visible import fenced, unfenced

_DEFINES = re.compile(r"^(?:async )?def |^class |^import |^from \w|^@|\w+ = ", re.MULTILINE)


def check_python(spec: CheckerSpec, text: str) -> Extracted:
    """Runs the code of a visible text, then the tests. The canonical form is the code.

    Raises:
        SandboxError: not on this system.
    """
    code = code_in(text)
    if code is None:
        return Extracted(None, False, False)
    return Extracted(code, False, passes(code, spec.text("tests"), spec.number("timeout_s", DEFAULT_CPU_S)))


def code_in(text: str) -> str | None:
    """The Python code of an answer: the longest code fence that defines something, or the whole text if it does; else None."""
    blocks = [block for block in fenced(text) if _DEFINES.search(block)]
    if blocks:
        return max(blocks, key=len).strip()
    whole = unfenced(text).strip()
    return whole if _DEFINES.match(whole) else None
