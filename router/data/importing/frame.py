"""A pandas DataFrame as its pickle describes it, read without pandas.

Neither pandas nor numpy is asked to build anything out of the file: `numpy.dtype` and `numpy.ndarray` restored with a crafted
state read memory at will, so buffers are checked here and taken over with `numpy.frombuffer`, for numbers and texts only.
"""

import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from router.data.importing.inert_pickle import DAMAGE, Record, calls, unpickle, why
from router.data.importing.shown import shown
from router.errors import DataError

NUMBERS = ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")
OFFSETS = {"large_string": "<i8", "large_utf8": "<i8", "string": "<i4", "utf8": "<i4"}


class Frame:
    """A table by columns.

    Attributes:
        columns: names, in the frame's order.
        rows: how many there are.
    """

    def __init__(
        self, path: Path, columns: tuple[str, ...], rows: int, blocks: Mapping[str, tuple[Record, int]]
    ) -> None:
        self.columns = columns
        self.rows = rows
        self._path = path
        self._blocks = blocks
        self._values = cache(_values)

    def column(self, name: str) -> list[Any]:
        """The values of a column, `rows` of them: numbers, texts, and whatever else the frame held, None where missing.

        Raises:
            DataError: its values are neither texts nor numbers, or not as many as the rows.
        """
        block, position = self._blocks[name]
        try:
            values = self._values(block)
            row = values[position] if values.ndim == 2 else values
            if row.shape != (self.rows,):
                raise ValueError(f"{len(row)} values for {self.rows} rows")
            return [_scalar(value) if isinstance(value, Record) else value for value in row.tolist()]
        except DAMAGE as exc:
            raise DataError(f"{self._path}: column {name} cannot be read: {why(exc)}") from exc


def read_frame(path: Path) -> Frame:
    """The DataFrame that a pickle holds.

    Raises:
        DataError: as for `unpickle`; another object than a DataFrame, or one laid out in no known way.
    """
    found = unpickle(path)
    try:
        return _frame(path, found)
    except DAMAGE as exc:
        raise DataError(f"{path}: not a readable pickle of a pandas DataFrame: {why(exc)}") from exc


def _frame(path: Path, found: Any) -> Frame:
    """From `DataFrame.__setstate__({"_mgr": BlockManager(blocks, [columns, rows])})`, as pandas 1.3 and later write it."""
    if not calls(found, "DataFrame"):
        raise ValueError(f"it holds {found.called if isinstance(found, Record) else type(found).__name__}")
    manager: Any = found.state.get("_mgr") if isinstance(found.state, dict) else None
    if not calls(manager, "BlockManager") or len(manager.arguments) != 2:
        raise ValueError("its layout is that of a pandas before 1.3; load and save it with a newer one")
    blocks, (column_axis, row_axis) = manager.arguments
    names: list[Any] = list(_index(column_axis))
    if not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
        raise ValueError("its columns are not named by distinct texts")
    places: dict[str, tuple[Record, int]] = {}
    for block in blocks:
        if not calls(block, "_unpickle_block"):
            raise ValueError("a block of columns is of no known kind")
        values, placement = block.arguments[:2]
        places |= {names[column]: (values, position) for position, column in enumerate(_places(placement, len(names)))}
    missing = [name for name in names if name not in places]
    if missing:
        raise ValueError(f"column {missing[0]} has no values")
    return Frame(path, tuple(names), len(_index(row_axis)), places)


def _index(record: Any) -> list[Any] | range:
    """The labels of an axis: `_new_Index(Index, {"data": ...})` or `_new_Index(RangeIndex, {"start": ...})`."""
    if not calls(record, "_new_Index"):
        raise ValueError("an axis is of no known kind")
    _, parts = record.arguments
    if "data" in parts:
        labels: list[Any] = _values(parts["data"]).tolist()
        return labels
    return range(parts["start"], parts["stop"], parts["step"])


def _places(placement: Any, columns: int) -> list[int] | range:
    """Which columns a block holds: an array of their indices, or a slice."""
    if not calls(placement, "slice"):
        return [int(column) for column in _values(placement).tolist()]
    places = range(*placement.arguments)
    if len(places) > columns:
        raise ValueError(f"a block of {len(places)} columns where there are {columns}")
    return places


def _values(record: Any) -> NDArray[Any]:
    """What a record of an array holds, checked against its stated shape."""
    if calls(record, "_frombuffer"):
        buffer, kind, shape, order = record.arguments
        return _numbers(_bytes(buffer), kind, shape, order)
    if calls(record, "_reconstruct"):
        _, shape, kind, fortran, content = record.state
        if isinstance(content, list):
            return _objects(content, shape)
        return _numbers(_bytes(content), kind, shape, "F" if fortran else "C")
    if calls(record, "ArrowStringArray", "ArrowStringArrayNumpySemantics"):
        return _arrow_texts(record.state["_pa_array"])
    if calls(record, "__pyx_unpickle_NDArrayBacked"):
        return _values(next(part for part in record.state if calls(part, "_reconstruct", "_frombuffer")))
    raise ValueError(f"its values are {record.called if isinstance(record, Record) else type(record).__name__}")


def _numbers(buffer: bytes, kind: Any, shape: tuple[int, ...], order: str) -> NDArray[Any]:
    dtype = _dtype(kind)
    if math.prod(shape) * dtype.itemsize != len(buffer) or any(size < 0 for size in shape):
        raise ValueError(f"{len(buffer)} bytes for {shape} values of {dtype.itemsize}")
    return np.frombuffer(buffer, dtype).reshape(shape, order="F" if order == "F" else "C")


def _objects(content: list[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    if math.prod(shape) != len(content) or any(size < 0 for size in shape):
        raise ValueError(f"{len(content)} values for {shape}")
    values = np.empty(len(content), object)
    for i, value in enumerate(content):  # one by one: numpy would unfold values that are lists
        values[i] = value
    return values.reshape(shape)


def _dtype(record: Any) -> np.dtype[Any]:
    code = record.arguments[0] if calls(record, "dtype") else None
    if code not in NUMBERS:
        raise ValueError(f"its type is {code or type(record).__name__}")
    order = record.state[1] if record.state else "|"
    if order not in ("<", ">", "|", "="):
        raise ValueError(f"its byte order is {shown(order)}")
    dtype: np.dtype[Any] = np.dtype(f"{order}{code}")
    return dtype


def _scalar(record: Record) -> Any:
    """A numpy number among the objects."""
    if not calls(record, "scalar"):
        raise ValueError(f"a value is {record.called}")
    kind, buffer = record.arguments
    return _numbers(_bytes(buffer), kind, (1,), "C").tolist()[0]


def _bytes(value: Any) -> bytes:
    """Bytes as the protocols write them: as such, `bytearray(bytes)`, or `_codecs.encode(text, "latin1")`."""
    if calls(value, "py_buffer", "bytearray") and len(value.arguments) == 1:
        value = value.arguments[0]
    if calls(value, "bytearray") and len(value.arguments) == 1:
        value = value.arguments[0]
    if calls(value, "encode", "bytearray") and value.arguments[1:] == ("latin1",):
        return str(value.arguments[0]).encode("latin1")
    if not isinstance(value, bytes | bytearray):
        raise ValueError(f"a buffer is {type(value).__name__}")
    return bytes(value)


def _arrow_texts(record: Any) -> NDArray[Any]:
    """Texts of an Arrow array: validity bits, offsets and UTF-8 bytes, each looked up within its buffer."""
    if calls(record, "chunked_array"):
        return np.concatenate([np.empty(0, object), *(_arrow_chunk(chunk) for chunk in record.arguments[0])])
    return _arrow_chunk(record)


def _arrow_chunk(record: Any) -> NDArray[Any]:
    if not calls(record, "_restore_array"):
        raise ValueError("its texts are of no known kind")
    (kind, length, _, start, buffers, *_), *_ = record.arguments
    if (
        not calls(kind, "type_for_alias")
        or kind.arguments[0] not in OFFSETS
        or len(buffers) != 3
        or start < 0
        or length < 0
    ):
        raise ValueError("its texts are of no known kind")
    validity, offsets, texts = (None if buffer is None else _bytes(buffer) for buffer in buffers)
    ends = np.frombuffer(offsets or b"", OFFSETS[kind.arguments[0]])[start : start + length + 1].tolist()
    if len(ends) != length + 1:
        raise ValueError(f"{len(ends)} offsets for {length} texts")
    values = np.empty(length, object)
    for i in range(length):
        if validity is None or validity[(start + i) // 8] >> (start + i) % 8 & 1:
            if not 0 <= ends[i] <= ends[i + 1] <= len(texts or b""):
                raise ValueError(f"text {i} lies outside its buffer")
            values[i] = (texts or b"")[ends[i] : ends[i + 1]].decode()
    return values
