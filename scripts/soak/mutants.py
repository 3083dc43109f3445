"""Shows that the soak is a check that can fail. It must find each of the faults that are put into copies of the gateway.

    make soak-mutants       or        .venv/bin/python -m scripts.soak.mutants [part of a name …]

Prints a line for each mutant; exit status 1 where one was not found, or where the soak fails on the gateway as it is.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import click

from scripts.soak.gateway_process import ROOT


class Edit(NamedTuple):
    """One text of one file, which must occur in it once, and what takes its place."""

    file: str
    old: str
    new: str


CONTROL = "none"
MUTANTS: Mapping[str, tuple[Edit, ...]] = {
    CONTROL: (),
    "1 record in 300 is lost": (
        Edit(
            "gateway/record/recorder.py",
            "        if self._database is None:\n            return\n        if record",
            "        if self._database is None or __import__('random').random() < 1 / 300:\n            return\n        if record",
        ),
    ),
    "a full disk loses the waiting records": (
        Edit(
            "gateway/record/recorder.py",
            "        full = isinstance(exc, DatabaseUnavailable) and exc.full",
            "        full = isinstance(exc, DatabaseUnavailable) and not self._buffer.clear()",
        ),
    ),
    "completion tokens count twice": (
        Edit(
            "gateway/core/usage.py",
            "return cls(prompt, completion, ",
            "return cls(prompt, 2 * completion, ",
        ),
    ),
    "the seam of two models loses a character": (
        Edit(
            "gateway/answering/splice.py",
            "        return rest\n\n\ndef _tight",
            "        return rest[1:]\n\n\ndef _tight",
        ),
    ),
    "a cut stream ends as a success": (
        Edit(
            "gateway/answering/continued_stream.py",
            "            except Exception as exc:\n                await self._continue",
            "            except Exception as exc:\n                self._ended = True\n                return None\n"
            "                await self._continue",
        ),
    ),
    "a stream without a finish reason passes": (
        Edit(
            "gateway/answering/relay.py",
            "                if not self.transcript.ended:\n",
            "                if False:\n",
        ),
    ),
    "every request leaks 20 KB": (
        Edit(
            "gateway/http/accounting.py",
            "        self.id = request_id\n",
            "        self.id = request_id\n        LEAK.append(bytearray(20_000))\n",
        ),
        Edit("gateway/http/accounting.py", "_NOT_FAILED = (", "LEAK: list = []\n_NOT_FAILED = ("),
    ),
    "failures are told as 500": (Edit("gateway/answering/attempts.py", "else 502\n", "else 500\n"),),
    "SIGTERM cuts every answer off": (
        Edit(
            "gateway/server/server.py",
            "        self.force_exit = self.should_exit\n",
            "        self.force_exit = True\n",
        ),
    ),
    "usage is told twice": (
        Edit(
            "gateway/api/chat/stream_writer.py",
            'return json_event(kept | {"choices": [], "usage": usage, "model": model}) + DONE',
            'return json_event(kept | {"choices": [], "usage": usage, "model": model}) * 2 + DONE',
        ),
    ),
    "every record says 200": (Edit("gateway/http/record_of.py", "        status=log.status,", "        status=200,"),),
    "stand-ins are never asked": (
        Edit(
            "gateway/routing/routing.py",
            "        if not allowed.other_models:\n            return",
            "        return",
        ),
    ),
    "every request is refused with 503": (
        Edit(
            "gateway/answering/failover.py",
            "        self._resources.retries.count_request()\n",
            "        raise all_failed(self._attempts, self._call_order.candidates)\n"
            "        self._resources.retries.count_request()\n",
        ),
    ),
    "1 request in 3 is refused with 503": (
        Edit(
            "gateway/answering/failover.py",
            "        self._resources.retries.count_request()\n",
            "        if __import__('random').random() < 0.33:\n"
            "            raise all_failed(self._attempts, self._call_order.candidates)\n"
            "        self._resources.retries.count_request()\n",
        ),
    ),
    "the event loop is held for three seconds now and then": (
        Edit(
            "gateway/http/accounting.py",
            "        self.id = request_id\n",
            "        self.id = request_id\n        if __import__('random').random() < 0.01:\n            time.sleep(3)\n",
        ),
    ),
}


def mutated(folder: Path, edits: tuple[Edit, ...]) -> None:
    """Puts a copy of the tracked files into an empty folder, with these edits.

    Raises:
        click.ClickException: a text does not occur once.
    """
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if name.startswith("docs/") or not (ROOT / name).is_file():
            continue
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
    for edit in edits:
        path = folder / edit.file
        text = path.read_text(encoding="utf-8")
        if text.count(edit.old) != 1:
            raise click.ClickException(f"{edit.file} has {text.count(edit.old)} times {edit.old!r}, not once")
        path.write_text(text.replace(edit.old, edit.new), encoding="utf-8")


@click.command()
@click.argument("parts", nargs=-1)
@click.option("--minutes", default=0.5, show_default=True, help="Of each soak.")
@click.option("--seed", default=3, show_default=True)
def main(parts: tuple[str, ...], minutes: float, seed: int) -> None:
    """Run the soak on mutants of the gateway: those whose name has one of PARTS in it, or all."""
    wrong = 0
    for name, edits in MUTANTS.items():
        if parts and not any(part in name for part in parts):
            continue
        with tempfile.TemporaryDirectory() as folder:
            mutated(Path(folder), edits)
            command = [sys.executable, "-m", "scripts.soak", "--minutes", str(minutes), "--seed", str(seed)]
            environment = os.environ | {"PYTHONPATH": folder}
            ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        broken = [line.strip() for line in ran.stdout.splitlines() if line.startswith("BROKEN")]
        right = (ran.returncode, bool(broken)) == ((0, False) if name == CONTROL else (1, True))
        wrong += not right
        told = "; ".join(broken) or ran.stderr.strip().rpartition("\n")[2] or "every invariant held"
        click.echo(f"{'as it must be' if right else 'WRONG'}: {name}: {told}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
