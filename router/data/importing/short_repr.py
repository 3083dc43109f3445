"""A short `repr` of values from files, for error messages."""

import reprlib

_REPR = reprlib.Repr()
_REPR.maxlevel, _REPR.maxlist, _REPR.maxtuple, _REPR.maxdict, _REPR.maxset = 2, 3, 3, 3, 3
_REPR.maxstring, _REPR.maxother = 100, 100


def short_repr(value: object) -> str:
    """The beginning of a value's `repr`, of bounded length: a small file can contain lists in lists with a huge `repr`."""
    if isinstance(value, int) and abs(value) > 10**40:
        return "a number of more than 40 digits"
    return _REPR.repr(value)
