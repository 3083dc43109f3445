"""Unpickles without running anything that the pickle asks for.

A pickle is a program: it names callables and calls them. Here every name that a pickled DataFrame needs stands for an inert
record of its arguments, and every other name is refused. What the records mean is read afterwards, as data (`frame`).
"""

import io
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from router.errors import DataError
from router.regular_file import read_regular

# Exact pairs only: a dotted name or another attribute of these modules is as foreign as `os.system`.
# As written by pandas 1.3 to 3 with numpy 1 and 2, pickle protocols 2 to 5.
ADMITTED = (
    ("pandas.core.frame", "DataFrame"),
    ("pandas", "DataFrame"),
    ("pandas.core.internals.managers", "BlockManager"),
    ("pandas._libs.internals", "_unpickle_block"),
    ("pandas.core.indexes.base", "_new_Index"),
    ("pandas.core.indexes.base", "Index"),
    ("pandas", "Index"),
    ("pandas.core.indexes.range", "RangeIndex"),
    ("pandas", "RangeIndex"),
    ("pandas.core.indexes.numeric", "Int64Index"),
    ("pandas.arrays", "ArrowStringArray"),
    ("pandas.core.arrays.string_arrow", "ArrowStringArray"),
    ("pandas.core.arrays.string_arrow", "ArrowStringArrayNumpySemantics"),
    ("pandas.arrays", "StringArray"),
    ("pandas._libs.arrays", "__pyx_unpickle_NDArrayBacked"),
    ("pandas.core.arrays.string_", "StringDtype"),
    ("pandas", "StringDtype"),
    ("pyarrow.lib", "_restore_array"),
    ("pyarrow.lib", "chunked_array"),
    ("pyarrow.lib", "type_for_alias"),
    ("pyarrow.lib", "py_buffer"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy._core.numeric", "_frombuffer"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("builtins", "slice"),
    ("builtins", "bytearray"),
    ("__builtin__", "slice"),
    ("__builtin__", "bytearray"),
    ("_codecs", "encode"),
)

LARGEST_PICKLE = 2 << 30  # bytes

# What reading a damaged pickle raises; the documentation names no closed list.
DAMAGE = (
    pickle.UnpicklingError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)


class Record:
    """Stands for one admitted name; calling it notes the arguments and does nothing."""

    __slots__ = ("arguments", "state")
    called: ClassVar[str] = ""
    arguments: tuple[Any, ...]
    state: Any

    def __new__(cls, *arguments: Any) -> "Record":
        self = super().__new__(cls)
        self.arguments, self.state = arguments, None
        return self

    def __setstate__(self, state: Any) -> None:
        self.state = state


_RECORDS = {pair: type(pair[1], (Record,), {"__slots__": (), "called": pair[1]}) for pair in ADMITTED}


class _Reader(pickle._Unpickler):
    """The Python one: the C one sizes its memo by the greatest index named, so six bytes could ask for all the memory."""

    dispatch: ClassVar[dict[int, Callable[..., None]]] = dict(pickle._Unpickler.dispatch)

    def _load_bytearray8(self: Any) -> None:
        (size,) = struct.unpack("<Q", self.read(8))
        self.append(bytearray(self.read(size)))

    dispatch[pickle.BYTEARRAY8[0]] = _load_bytearray8

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _RECORDS:
            raise _Refused(f"{module}.{name}")
        return _RECORDS[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it refers to objects outside the file")


def unpickle(path: Path) -> Any:
    """What a pickle holds: plain values, and a `Record` for each call of an admitted name.

    Raises:
        DataError: unreadable or damaged, or a name that is not admitted: refused by that name, nothing having been run.
    """
    try:
        # From memory, not the file: asked for more bytes than there are, a file would first make room for all of them.
        return _Reader(io.BytesIO(read_regular(path, LARGEST_PICKLE))).load()
    except _Refused as exc:
        raise DataError(
            f"{path}: refused: the pickle asks for {exc}, which a table of texts and numbers does not need; nothing was run"
        ) from exc
    except OSError as exc:
        raise DataError(f"{path}: cannot be read: {exc.strerror}") from exc
    except DAMAGE as exc:
        raise DataError(f"{path}: not a readable pickle: {why(exc)}") from exc


def why(exc: BaseException) -> str:
    """An error of `DAMAGE` in words; of most the type alone says something."""
    return str(exc) if isinstance(exc, ValueError | pickle.UnpicklingError) else f"it is damaged ({type(exc).__name__})"


def calls(value: Any, *names: str) -> bool:
    """Whether a value is the record of a call of one of these names, whichever module has it."""
    return isinstance(value, Record) and value.called in names


class _Refused(Exception):
    pass
