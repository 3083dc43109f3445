"""Pickled tables: read without pandas, and hostile or damaged ones refused before anything of them runs."""

import os
import pickle
import pickletools
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from router.data.importing.frame import read_frame
from router.data.importing.inert_pickle import ADMITTED
from router.errors import DataError
from tests.router.data.importing.test_importing import refused

PICKLES = Path(__file__).parent / "samples" / "routerbench"
NAMES = ("pandas1.pkl", "routerbench_0shot.pkl", "pandas3.pkl")


@pytest.mark.parametrize("name", NAMES)
def test_a_frame_is_read_as_pandas_wrote_it(name: str) -> None:
    frame = read_frame(PICKLES / name)
    assert frame.rows == 4
    assert frame.columns[:4] == ("sample_id", "prompt", "eval_name", "WizardLM/WizardLM-13B-V1.2")
    assert frame.columns[-1] == "oracle_model_to_route_to"
    assert frame.column("sample_id")[1] == "mbpp.dev.325"
    assert frame.column("claude-v1") == [1.0, 1.0, 0.75, 0.0]
    assert frame.column("gpt-4-1106-preview|total_cost") == pytest.approx([0.0003] * 4)
    assert [value != value for value in frame.column("gpt-4-1106-preview")] == [False, False, True, False]


def test_a_frame_is_read_without_pandas() -> None:
    code = (
        "import sys; sys.modules['pandas'] = None\n"
        "from pathlib import Path; from router.data.importing.frame import read_frame\n"
        f"assert read_frame(Path({str(PICKLES / 'pandas3.pkl')!r})).rows == 4"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


class Runs:
    """Pickles as a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call


def test_a_pickle_that_would_run_a_command_is_refused_by_name(tmp_path: Path) -> None:
    witness, file = tmp_path / "ran", tmp_path / "evil.pkl"
    hostile = {"data": Runs(os.system, f"touch {witness}")}
    file.write_bytes(pickle.dumps(hostile))
    pickle.loads(file.read_bytes())
    assert witness.exists(), "the pickle is hostile indeed"
    witness.unlink()
    output = refused("routerbench", file, "--out", tmp_path / "data").replace("\n", " ")
    assert str(file) in output
    assert "posix.system" in output or "nt.system" in output
    assert sorted(tmp_path.iterdir()) == [file]


def call(module: str, name: str, arguments: bytes = b")") -> bytes:
    """A pickle that calls `module.name`."""
    return b"\x80\x04" + text(module) + text(name) + b"\x93" + arguments + b"R."


def text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("builtins", "__import__"),
        ("builtins", "slice.__class__"),
        ("os", "system"),
        ("subprocess", "Popen"),
        ("pandas", "DataFrame.eval"),
        ("pandas", "read_pickle"),
        ("pandas", "eval"),
        ("pandas.core.frame", "np"),
        ("pandas.core.frame", "DataFrame.__init__.__globals__"),
        ("pandas.core.indexes.base", "Index.map"),
        ("pandas.core.computation.eval", "eval"),
        ("pandas.core.internals.managers", "libinternals"),
        ("numpy", "load"),
        ("numpy", "ndarray.tofile"),
        ("numpy.core.multiarray", "fromfile"),
        ("numpy._core.multiarray", "_reconstruct.__class__"),
        ("numpy.testing._private.utils", "runstring"),
        ("pyarrow.lib", "PyExtensionType"),
        ("pyarrow.lib", "foreign_buffer"),
        ("_codecs", "lookup"),
        ("codecs", "encode"),
        ("functools", "partial"),
        ("copyreg", "_reconstructor"),
        ("router.data.importing.frame", "read_frame"),
    ],
)
def test_every_other_name_is_refused(tmp_path: Path, module: str, name: str) -> None:
    for content in (call(module, name), f"c{module}\n{name}\n.".encode(), f"(i{module}\n{name}\n.".encode()):
        (tmp_path / "a.pkl").write_bytes(content)
        with pytest.raises(DataError, match="refused") as caught:
            read_frame(tmp_path / "a.pkl")
        assert f"{module}.{name}" in str(caught.value)


def test_what_is_admitted_is_never_the_real_thing(tmp_path: Path) -> None:
    """Called with anything at all, an admitted name does nothing: a file of one call is no DataFrame, and that is all."""
    for module, name in ADMITTED:
        (tmp_path / "a.pkl").write_bytes(call(module, name, text("/nowhere") + b"\x85"))
        with pytest.raises(DataError, match=r"a\.pkl: "):
            read_frame(tmp_path / "a.pkl")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a pickle",
        b"\x80\x04.",
        b"\x80\x04N.",
        b"\x80\x63.",  # protocol 99
        b"\x80\x04K\x01P7\n.",  # an object outside the file
        b"\x80\x04\x82\x01.",  # an extension code
        b"\x80\x04" + b"(" * 100_000 + b".",
        b"\x80\x04Nr\xff\xff\xff\xff.",  # a memo index that would make the C unpickler ask for 64 GB
        b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f.",  # bytes of nearly 2^63
        call("pandas", "DataFrame")[:-1] + b"}b.",
        call("pandas", "DataFrame")[:-1] + b"K\x01b.",
        call("pandas", "DataFrame")[:-1] + b"K\x01K\x02s.",
        b"\x80\x04" + text("pandas") + text("DataFrame") + b"\x93}b.",  # state for the name itself
        b"\x80\x04" + text("pandas") + text("DataFrame") + b"\x93K\x01a.",
    ],
)
def test_a_damaged_pickle_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.pkl").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.pkl: not a readable pickle"):
        read_frame(tmp_path / "a.pkl")


def load(path: Path) -> list[list[Any]]:
    frame = read_frame(path)
    return [frame.column(name) for name in frame.columns]


@pytest.mark.parametrize("name", NAMES)
def test_no_damage_gets_past_the_error(tmp_path: Path, name: str) -> None:
    """Bytes changed at random, cut and repeated: the frame reads, or a DataError says why not."""
    good, rng = (PICKLES / name).read_bytes(), random.Random(0)
    file, refusals = tmp_path / "a.pkl", 0
    for _ in range(300):
        data = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        if rng.random() < 0.2:
            data = data[: rng.randrange(len(data))]
        file.write_bytes(data)
        try:
            load(file)
        except DataError as exc:
            refusals += str(file) in str(exc)
    assert refusals > 40


def edited(name: str, old: bytes, new: bytes, tmp_path: Path) -> Path:
    good = (PICKLES / name).read_bytes()
    assert good.count(old) >= 1
    file = tmp_path / "a.pkl"
    file.write_bytes(good.replace(old, new))
    return file


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        ("routerbench_0shot.pkl", b"\x8c\x02f8", b"\x8c\x02O8", "its type is O8"),  # numbers read as pointers
        ("routerbench_0shot.pkl", b"\x8c\x02f8", b"\x8c\x02V8", "its type is V8"),
        ("routerbench_0shot.pkl", b"\x8c\x02f8", b"\x8c\x02f4", "bytes for"),
        ("routerbench_0shot.pkl", b"K\x06K\x04\x86", b"K\x06K\xff\x86", "bytes for"),
        ("pandas3.pkl", b"large_string", b"large_binary", "no known kind"),
    ],
)
def test_a_buffer_that_does_not_fit_its_shape_is_refused(
    tmp_path: Path, name: str, old: bytes, new: bytes, says: str
) -> None:
    with pytest.raises(DataError, match=says):
        load(edited(name, old, new, tmp_path))


def test_a_text_outside_its_buffer_is_refused(tmp_path: Path) -> None:
    good = (PICKLES / "pandas3.pkl").read_bytes()
    offsets = next(arg for op, arg, _ in pickletools.genops(good) if op.name == "BYTEARRAY8" and len(arg) == 40)
    far = bytes(offsets[:-8]) + (10**6).to_bytes(8, "little")
    with pytest.raises(DataError, match="outside its buffer"):
        load(edited("pandas3.pkl", bytes(offsets), far, tmp_path))


def test_a_table_without_models_or_prompts_is_named(tmp_path: Path) -> None:
    no_prompt = edited("pandas1.pkl", b"\x8c\x06prompt", b"\x8c\x06prampt", tmp_path)
    output = refused("routerbench", no_prompt, "--out", tmp_path / "data").replace("\n", " ")
    assert "column prompt is missing; it has sample_id, prampt" in output
    no_models = (
        (PICKLES / "pandas1.pkl").read_bytes().replace(b"|total_cost", b"|total_coin").replace(b"|model_r", b"|model_x")
    )
    no_prompt.write_bytes(no_models)
    assert "no column NAME beside NAME|total_cost" in refused("routerbench", no_prompt, "--out", tmp_path / "data")
