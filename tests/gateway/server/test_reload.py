"""A changed portfolio file comes into force, by polling and by SIGHUP, on a real file and a real event loop."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.config.portfolio import Portfolio
from gateway.server.reload import Fingerprint, Reloader, fingerprint
from router.errors import ArtifactError

pytestmark = pytest.mark.anyio
INTERVAL_S = 0.05


def text(name: str) -> str:
    return f"models:\n  - name: {name}\n    context_window: 8\n    deployments: [{{model: ollama/m}}]\n"


@dataclass
class Watched:
    """What a reloader did so far: names put in force, and what it reported."""

    path: Path
    applied: list[str] = field(default_factory=list)
    reports: list[str | None] = field(default_factory=list)
    reported: asyncio.Event = field(default_factory=asyncio.Event)

    async def apply(self, portfolio: Portfolio, file: Fingerprint) -> None:
        assert file == fingerprint(self.path)
        name = portfolio.models[0].name
        if name == "unknown-embedding":
            raise ArtifactError("the model space has no 'unknown-embedding'")
        self.applied.append(name)

    def report(self, what: str | None) -> None:
        self.reports.append(what)
        self.reported.set()

    async def until_reports(self, number: int) -> None:
        async with asyncio.timeout(60):
            while len(self.reports) < number:
                self.reported.clear()
                await self.reported.wait()

    async def several_checks(self) -> None:
        await asyncio.sleep(6 * INTERVAL_S)


@asynccontextmanager
async def watching(folder: Path, interval_s: float = INTERVAL_S) -> AsyncIterator[Watched]:
    watched = Watched(folder / "portfolio.yaml")
    watched.path.write_text(text("first"))
    async with Reloader(watched.path, {}, watched.apply, watched.report, interval_s):
        yield watched


def replace(path: Path, content: str) -> None:
    """As editors and configuration tools do: a new file takes the name."""
    new = path.with_suffix(".new")
    new.write_text(content)
    new.rename(path)


async def test_an_unchanged_file_is_left_alone(tmp_path: Path) -> None:
    async with watching(tmp_path) as watched:
        await watched.several_checks()
    assert (watched.applied, watched.reports) == ([], [])


async def test_a_changed_file_is_put_in_force_once(tmp_path: Path) -> None:
    async with watching(tmp_path) as watched:
        replace(watched.path, text("second"))
        await watched.until_reports(1)
        await watched.several_checks()
    assert (watched.applied, watched.reports) == (["second"], [None])


async def test_a_file_written_in_place_is_put_in_force(tmp_path: Path) -> None:
    async with watching(tmp_path) as watched:
        watched.path.write_text(text("second"))
        await watched.until_reports(1)
        await watched.several_checks()
    assert watched.applied[-1] == "second"
    assert watched.reports[-1] is None


async def test_a_replacement_of_the_same_size_and_time_is_seen(tmp_path: Path) -> None:
    async with watching(tmp_path) as watched:
        before = watched.path.stat()
        new = tmp_path / "new"
        new.write_text(text("other"))
        os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
        new.rename(watched.path)
        await watched.until_reports(1)
    assert watched.applied == ["other"]


async def test_a_file_that_is_gone_for_a_moment_is_waited_for(tmp_path: Path) -> None:
    async with watching(tmp_path) as watched:
        watched.path.unlink()
        await watched.several_checks()
        assert watched.reports == []
        replace(watched.path, text("second"))
        await watched.until_reports(1)
    assert (watched.applied, watched.reports) == (["second"], [None])


async def test_a_wrong_file_is_reported_once_and_a_later_fix_comes_into_force(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with watching(tmp_path) as watched:
        replace(watched.path, text("second") + "defualt_policy: best\n")
        await watched.until_reports(1)
        await watched.several_checks()
        assert watched.applied == []
        assert watched.reports == [f"{watched.path}:5: defualt_policy: unknown key; did you mean default_policy?"]
        assert [record.name for record in caplog.records] == ["locus.reload"]
        assert "the portfolio in force stays" in caplog.text

        replace(watched.path, text("second") + "default_policy: best\n")
        await watched.until_reports(2)
    assert watched.applied == ["second"]
    assert watched.reports[1] is None


async def test_a_portfolio_that_cannot_be_put_in_force_is_reported(tmp_path: Path) -> None:
    async with watching(tmp_path) as watched:
        replace(watched.path, text("unknown-embedding"))
        await watched.until_reports(1)
        await watched.several_checks()
        assert watched.reports == ["the model space has no 'unknown-embedding'"]
        replace(watched.path, text("third"))
        await watched.until_reports(2)
    assert (watched.applied, watched.reports[1]) == (["third"], None)


async def test_warnings_of_the_new_file_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with watching(tmp_path) as watched:
        replace(watched.path, text("second").replace("ollama/m", "openrouter/m") + "    price: {input: 1, output: 1}\n")
        await watched.until_reports(1)
    assert "OPENROUTER_API_KEY (second/0)" in caplog.text


async def test_sighup_reloads_an_unchanged_file_at_once(tmp_path: Path) -> None:
    async with watching(tmp_path, interval_s=3600) as watched:
        for n in (1, 2):
            os.kill(os.getpid(), signal.SIGHUP)
            await watched.until_reports(n)
    assert (watched.applied, watched.reports) == (["first", "first"], [None, None])


async def test_sighup_on_a_missing_file_is_reported(tmp_path: Path) -> None:
    async with watching(tmp_path, interval_s=3600) as watched:
        watched.path.unlink()
        os.kill(os.getpid(), signal.SIGHUP)
        await watched.until_reports(1)
    assert (watched.applied, watched.reports) == ([], [f"{watched.path}: no such file"])


async def test_a_file_that_is_being_written_is_read_once_it_is_whole(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "portfolio.yaml")
    watched.path.write_text(text("first"))
    reloader = Reloader(watched.path, {}, watched.apply, watched.report)
    whole = text("second") + "default_policy: best\n"
    for length in (0, 10, len(text("second")), len(whole)):  # the third part would pass for a whole file
        watched.path.write_text(whole[:length])
        await reloader.check()
        assert watched.reports == []
    await reloader.check()
    await reloader.check()
    assert (watched.applied, watched.reports) == (["second"], [None])


async def test_a_reload_that_is_asked_for_waits_for_a_file_that_is_being_written(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "portfolio.yaml")
    watched.path.write_text(text("first"))
    reloader = Reloader(watched.path, {}, watched.apply, watched.report)
    watched.path.write_text("models:")
    await reloader.check(requested=True)
    watched.path.write_text(text("second"))
    await reloader.check()
    assert watched.reports == []
    await reloader.check()
    assert watched.applied == ["second"]
    await reloader.check(requested=True)
    assert watched.applied == ["second", "second"]


async def test_a_storm_of_changes_and_signals_is_a_few_reloads(tmp_path: Path) -> None:
    async with watching(tmp_path) as watched:
        for i in range(200):
            replace(watched.path, text(f"m{i}"))
            os.kill(os.getpid(), signal.SIGHUP)
            await asyncio.sleep(0.002)
        while "m199" not in watched.applied:  # noqa: ASYNC110
            await asyncio.sleep(INTERVAL_S)
    assert len(watched.applied) < 20
    assert watched.applied[-1] == "m199"


async def test_special_files_are_refused_without_waiting(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "portfolio.yaml")
    watched.path.write_text(text("first"))
    reloader = Reloader(watched.path, {}, watched.apply, watched.report)
    watched.path.unlink()
    os.mkfifo(watched.path)
    async with asyncio.timeout(60):
        await reloader.check()
        await reloader.check()
    assert len(watched.reports) == 1
    assert "not readable" in str(watched.reports[0])
    watched.path.unlink()
    watched.path.mkdir()
    await reloader.check()
    await reloader.check()
    assert "not readable" in str(watched.reports[1])
    assert watched.applied == []


async def test_reading_has_a_time_limit_and_holds_up_nothing(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "portfolio.yaml")
    watched.path.write_text(text("first"))
    reloader = Reloader(watched.path, {}, watched.apply, watched.report, read_timeout_s=0.1)
    models = "".join(text(f"m{i}").removeprefix("models:\n") for i in range(1_500))
    watched.path.write_text(f"models:\n{models}")
    await reloader.check()
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    ticking = asyncio.create_task(tick())
    await reloader.check()
    assert watched.reports == [f"{watched.path}: not read within 0.1 s"]
    assert ticks > 3
    await reloader.check(requested=True)
    assert watched.reports[1] == f"{watched.path}: still being read since an earlier change"
    ticking.cancel()


async def test_nothing_is_watched_any_more_after_the_block(tmp_path: Path) -> None:
    async with watching(tmp_path) as watched:
        pass
    replace(watched.path, text("late"))
    await watched.several_checks()
    assert (watched.applied, watched.reports) == ([], [])


def test_a_missing_file_has_no_fingerprint(tmp_path: Path) -> None:
    assert fingerprint(tmp_path / "none") is None
