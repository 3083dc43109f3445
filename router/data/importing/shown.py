"""Values of files as an error may show them: short, whatever they hold."""

import reprlib

_BRIEF = reprlib.Repr()
_BRIEF.maxlevel, _BRIEF.maxlist, _BRIEF.maxtuple, _BRIEF.maxdict, _BRIEF.maxset = 2, 3, 3, 3, 3
_BRIEF.maxstring, _BRIEF.maxother = 100, 100


def shown(value: object) -> str:
    """The beginning of a value's `repr`: lists in lists can be written in a few bytes and be without end."""
    if isinstance(value, int) and abs(value) > 10**40:
        return "a number of more than 40 digits"
    return _BRIEF.repr(value)
