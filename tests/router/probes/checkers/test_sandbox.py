"""Code of models: what passes, what fails, and what it cannot reach, by each layer of the sandbox."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from router.probes.checkers import sandbox_child
from router.probes.checkers.python import code_in
from router.probes.checkers.sandbox import passes

DOUBLE = "def f(x): return x * 2"
TESTS = "assert f(2) == 4"


@pytest.mark.parametrize(
    ("code", "passed"),
    [
        (DOUBLE, True),
        ("import collections, heapq, itertools, json, math, random, re, statistics\n" + DOUBLE, True),
        ("open('note', 'w').write('4')\ndef f(x): return int(open('note').read())", True),
        ("def f(x): return x * 3", False),
        ("def f(x)", False),
        ("import sys; sys.exit(0)", False),
        ("import os; os._exit(0)", False),
        ("raise KeyboardInterrupt", False),
        ("print('passed' * 100_000)\ndef f(x): return 5", False),
    ],
)
def test_code_passes_where_its_tests_do(code: str, passed: bool) -> None:
    assert passes(code, TESTS) is passed


@pytest.mark.parametrize(
    "reach",
    [
        "import socket; socket.socket()",
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1:1')",
        "import os; os.system('true')",
        "import subprocess; subprocess.run(['true'])",
        "import os; os.fork()",
        "import os; os.kill(os.getppid(), 0)",
        "import threading; threading.Thread(target=print).start()",
        "import ctypes",
        "open('/etc/passwd').read()",
        "import os; os.listdir('/')",
        "import os; open(os.path.join(os.path.dirname(os.getcwd()), 'locus-outside'), 'w')",
        "import os; os.symlink('/etc/passwd', 'link'); open('link').read()",
        "open('big', 'wb').write(b'x' * (2 << 20))",
        "'x' * (1 << 30)",
    ],
)
def test_what_code_cannot_reach(reach: str) -> None:
    assert passes(f"{reach}\n{DOUBLE}", TESTS) is False
    assert not Path(tempfile.gettempdir(), "locus-outside").exists()


def test_code_sees_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_TEST", "secret")
    assert passes("import os", "assert not {'SECRET_OF_THE_TEST', 'PATH', 'HOME'} & set(os.environ)")


def test_code_that_does_not_end_is_stopped() -> None:
    assert passes("while True: pass", "", cpu_s=1) is False


@pytest.mark.skipif(sys.platform != "linux", reason="seccomp and Landlock are parts of Linux")
@pytest.mark.parametrize(
    "reach",
    [
        "socket.socket()",
        "os.fork()",
        "os.execv('/bin/true', ['true'])",
        "os.kill(os.getppid(), 0)",
        "open('/etc/passwd')",
        "open('../outside', 'w')",
        "os.listdir('/')",
    ],
)
def test_the_kernel_alone_refuses_it_too(reach: str, tmp_path: Path) -> None:
    """Without the audit hook, which native code could get round."""
    inside = tmp_path / "inside"
    inside.mkdir()
    program = (
        "import importlib.util as u, os, socket\n"
        f"spec = u.spec_from_file_location('child', {str(sandbox_child.__file__)!r})\n"
        "child = u.module_from_spec(spec); spec.loader.exec_module(child)\n"
        f"child.close_kernel({str(inside)!r}, set())\n"
        "open('note', 'w').close()\n"
        f"try: {reach}\n"
        "except PermissionError: print('refused', end='')\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", program], cwd=inside, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("refused", "")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("def f(x):\n    return x", "def f(x):\n    return x"),
        ("```python\ndef f(x):\n    return x\n```", "def f(x):\n    return x"),
        (
            "Sure!\n\n```py\nimport math\n\ndef f(x):\n    return x\n```\nIt works.",
            "import math\n\ndef f(x):\n    return x",
        ),
        ("```python\ndef f(x):\n    return x\n```\nUsage:\n```python\nf(1)\n```", "def f(x):\n    return x"),
        ("```\ndef f(x): return x", "def f(x): return x"),
        ("I would use recursion.", None),
        ("```\n1 2 3\n```", None),
    ],
)
def test_the_code_of_an_answer(text: str, code: str | None) -> None:
    assert code_in(text) == code
