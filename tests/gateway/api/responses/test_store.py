"""The store behind `previous_response_id`: conversations, owners, limits, several processes, and a disk that fails."""

import asyncio
import logging
import os
import sqlite3
import stat
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.api.responses.store import ResponseStore, StoreLimits
from gateway.api.responses.store_tables import share
from gateway.config.database_location import DatabaseLocation
from gateway.core.errors import InvalidRequest, PreviousResponseNotFound
from tests.gateway.api.exchanges import FUNCTION, chunk, complete, dialect, parsed, written
from tests.gateway.api.responses.stores import store_of
from tests.gateway.running import eventually
from tests.gateway.store.engines import location

__all__ = ["location"]
pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[4]


class Clock:
    """Seconds since the epoch, as the test says."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def said(text: str, name: str) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"type": "message", "id": f"msg_{name}", "role": "assistant", "status": "completed", "content": [part]}


def response(name: str, text: str = "x") -> dict[str, Any]:
    return {"id": f"resp_{name}", "status": "completed", "output": [said(text, name)]}


def asked(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


async def saved(
    store: ResponseStore, name: str, previous: str | None = None, key_digest: str = "me", text: str = "x"
) -> None:
    before = None if previous is None else f"resp_{previous}"
    await store.save(response(name, text), [asked(f"ask {name}")], before, key_digest, f"session {name}")


async def test_a_conversation_is_read_along_its_responses(location: DatabaseLocation) -> None:
    async with store_of(location) as store:
        await saved(store, "a")
        await saved(store, "b", "a")
        await saved(store, "c", "b")
        await saved(store, "b2", "a")
        stored = await store.load("resp_c", "me")
        assert stored is not None
        assert stored.is_complete
        assert stored.session == "session c"
        assert stored.input == [asked("ask a"), said("x", "a"), asked("ask b"), said("x", "b"), asked("ask c")]
        assert stored.items == [*stored.input, said("x", "c")]
        assert stored.response == response("c")
        other = await store.load("resp_b2", "me")
        assert other is not None
        assert other.input == [asked("ask a"), said("x", "a"), asked("ask b2")]


async def test_a_long_conversation_takes_no_more_room_than_its_items(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    async with store_of(path) as store:
        for i in range(60):
            await saved(store, str(i), str(i - 1) if i else None, text="y" * 1000)
        stored = await store.load("resp_59", "me")
        assert stored is not None
        assert len(stored.items) == 120
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT sum(bytes) FROM responses").fetchone()[0] < 60 * 1_500
        assert db.execute("SELECT rows, bytes FROM chains").fetchall() == [
            db.execute("SELECT count(*), sum(bytes) FROM responses").fetchone()
        ]


async def test_one_owner_does_not_see_what_is_anothers(location: DatabaseLocation) -> None:
    async with store_of(location) as store:
        await saved(store, "a")
        assert await store.load("resp_a", "you") is None
        assert await store.items(["msg_a"], "you") == {}
        assert not await store.delete("resp_a", "you")
        await saved(store, "a", key_digest="you", text="yours")
        mine = await store.load("resp_a", "me")
        assert mine is not None
        assert mine.response == response("a")
        assert await store.items(["msg_a", "msg_no"], "me") == {"msg_a": said("x", "a")}


async def test_what_was_built_on_a_deleted_response_is_no_longer_whole(location: DatabaseLocation) -> None:
    async with store_of(location) as store:
        await saved(store, "a")
        await saved(store, "b", "a")
        assert await store.delete("resp_a", "me")
        assert not await store.delete("resp_a", "me")
        assert await store.load("resp_a", "me") is None
        assert await store.items(["msg_a"], "me") == {}
        stored = await store.load("resp_b", "me")
        assert stored is not None
        assert not stored.is_complete
        with pytest.raises(PreviousResponseNotFound):
            await parsed(dialect(store), previous_response_id="resp_b")


async def test_a_conversation_is_kept_as_long_as_it_is_continued(tmp_path: Path) -> None:
    clock = Clock()
    async with store_of(tmp_path / "r.db", StoreLimits(retention_s=100), clock) as store:
        await saved(store, "a")
        await saved(store, "old")
        clock.now += 90
        await saved(store, "b", "a")
        clock.now += 90
        assert await store.load("resp_old", "me") is None, "not even before it is pruned"
        assert await store.items(["msg_old"], "me") == {}
        stored = await store.load("resp_b", "me")
        assert stored is not None
        assert stored.is_complete
        await store.prune()
        assert await store.load("resp_a", "me") is not None
        clock.now += 20
        await store.prune()
    with sqlite3.connect(tmp_path / "r.db") as db:
        for table in ("responses", "items", "chains"):
            assert db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


async def test_only_the_leader_deletes_old_conversations_regularly(tmp_path: Path) -> None:
    def rows() -> int:
        with sqlite3.connect(tmp_path / "r.db") as db:
            found: tuple[int] = db.execute("SELECT count(*) FROM responses").fetchone()
        return found[0]

    clock, leads = Clock(), [False]
    async with store_of(tmp_path / "r.db", StoreLimits(retention_s=0.02), clock, leads=lambda: leads[0]) as store:
        await saved(store, "a")
        clock.now += 10
        await asyncio.sleep(0.1)
        assert rows() == 1
        leads[0] = True
        await eventually(lambda: rows() == 0)


@pytest.mark.parametrize("limits", [StoreLimits(responses=3), StoreLimits(bytes=3_500)])
async def test_the_longest_unused_conversations_give_way(location: DatabaseLocation, limits: StoreLimits) -> None:
    clock = Clock()
    async with store_of(location, limits, clock) as store:
        for name, previous in (("a", None), ("b", None), ("c", None), ("a2", "a")):
            clock.now += 1
            await saved(store, name, previous, text="y" * 900)
        await store.prune()
        kept = [name for name in ("a", "a2", "b", "c") if await store.load(f"resp_{name}", "me") is not None]
        assert kept == ["a", "a2", "c"]


@pytest.mark.parametrize(
    ("sizes", "most", "expected"),
    [([], 10, 10), ([3, 4], 10, 10), ([10, 500, 700], 1000, 495), ([900, 900], 1000, 500), ([2000], 1000, 1000)],
)
def test_owners_share_what_there_is(sizes: list[int], most: int, expected: int) -> None:
    assert share(sizes, most) == expected


async def test_one_owner_does_not_push_out_another(tmp_path: Path) -> None:
    clock = Clock()
    async with store_of(tmp_path / "r.db", StoreLimits(bytes=20_000), clock) as store:
        await saved(store, "mine", key_digest="me")
        for i in range(60):
            clock.now += 1
            await saved(store, str(i), key_digest="flood", text="y" * 900)
        await store.prune()
        assert await store.load("resp_mine", "me") is not None
        kept = [i for i in range(60) if await store.load(f"resp_{i}", "flood") is not None]
        assert kept == list(range(kept[0], 60)), "the oldest of that owner give way"
        assert 10 < len(kept) < 20
    with sqlite3.connect(tmp_path / "r.db") as db:
        assert db.execute("SELECT sum(bytes) FROM responses").fetchone()[0] <= 20_000


async def test_much_that_is_written_is_pruned_at_once(tmp_path: Path) -> None:
    async with store_of(tmp_path / "r.db", StoreLimits(bytes=5_000)) as store:
        for i in range(40):
            await saved(store, str(i), text="y" * 900)
    with sqlite3.connect(tmp_path / "r.db") as db:
        assert db.execute("SELECT sum(bytes) FROM responses").fetchone()[0] <= 6_500


async def test_a_conversation_that_is_too_long_is_refused(location: DatabaseLocation) -> None:
    async with store_of(location, StoreLimits(conversation_bytes=3_000)) as store:
        given = dialect(store)
        for i in range(4):
            await saved(store, str(i), str(i - 1) if i else None, text="y" * 900)
        for fields in (
            {"previous_response_id": "resp_3"},
            {"input": [{"type": "item_reference", "id": f"msg_{i}"} for i in range(4)]},
        ):
            with pytest.raises(InvalidRequest, match="would be longer than this gateway reads") as caught:
                await parsed(given, **fields)
            assert caught.value.param in fields
        assert orjson.loads(await store.response("resp_3", "me") or b"") == response("3", "y" * 900)
        assert (await parsed(given, previous_response_id="resp_1")).fields["messages"][-1]["content"] == "hi"


async def test_an_item_is_referred_to_once(location: DatabaseLocation) -> None:
    async with store_of(location) as store:
        await saved(store, "a")
        with pytest.raises(InvalidRequest, match="Two references") as caught:
            await parsed(dialect(store), input=[{"type": "item_reference", "id": "msg_a"}] * 2)
        assert caught.value.param == "input[1].id"


async def test_a_file_of_an_earlier_version_is_read_on(tmp_path: Path) -> None:
    """Such a file has the output in the response, and no owners of conversations."""
    with sqlite3.connect(tmp_path / "r.db") as db:
        db.executescript(
            """
            CREATE TABLE chains (chain INTEGER PRIMARY KEY, used REAL NOT NULL, rows INTEGER NOT NULL, bytes INTEGER NOT NULL);
            CREATE TABLE responses (
                owner TEXT NOT NULL, id TEXT NOT NULL, chain INTEGER NOT NULL, previous TEXT, session TEXT, bytes INTEGER NOT NULL,
                input BLOB NOT NULL, response BLOB NOT NULL, PRIMARY KEY (owner, id)
            );
            CREATE TABLE items (
                owner TEXT NOT NULL, id TEXT NOT NULL, response TEXT NOT NULL, chain INTEGER NOT NULL, PRIMARY KEY (owner, id)
            ) WITHOUT ROWID;
            INSERT INTO chains VALUES (1, 1000, 1, 100);
            INSERT INTO items VALUES ('me', 'msg_a', 'resp_a', 1);
            """
        )
        values = (orjson.dumps([asked("ask a")]), orjson.dumps(response("a")))
        db.execute("INSERT INTO responses VALUES ('me', 'resp_a', 1, NULL, 'session a', 100, ?, ?)", values)
    async with store_of(tmp_path / "r.db", clock=Clock()) as store:
        await saved(store, "b", "a")
        stored = await store.load("resp_b", "me")
        assert stored is not None
        assert stored.input == [asked("ask a"), said("x", "a"), asked("ask b")]
        assert orjson.loads(await store.response("resp_a", "me") or b"") == response("a")
        assert await store.items(["msg_a"], "me") == {"msg_a": said("x", "a")}
    async with store_of(tmp_path / "r.db", clock=Clock()) as store:
        assert await store.load("resp_b", "me") == stored
    with sqlite3.connect(tmp_path / "r.db") as db:
        assert db.execute("SELECT owner FROM chains").fetchall() == [("me",)]


@pytest.mark.parametrize(("name", "previous"), [("a", "a"), ("b", "c")])
async def test_ids_that_go_round_in_a_circle_end(location: DatabaseLocation, name: str, previous: str) -> None:
    async with store_of(location) as store:
        await saved(store, "b")
        await saved(store, "c", "b")
        await saved(store, name, previous)
        stored = await store.load(f"resp_{name}", "me")
        assert stored is not None
        assert not stored.is_complete


@pytest.mark.parametrize(
    "odd", [{"id": "resp_a"}, {"id": "resp_a", "output": 5}, {"id": "resp_a", "output": [5]}, {"id": 5}, {}]
)
async def test_odd_responses_of_providers_are_kept_as_far_as_can_be(
    location: DatabaseLocation, odd: dict[str, Any]
) -> None:
    async with store_of(location) as store:
        await store.save(odd, [asked("hi")], None, "me", None)
        stored = await store.load("resp_a", "me")
        assert (stored is not None) is (odd.get("id") == "resp_a")
        assert stored is None or stored.items == [asked("hi")]


async def test_only_the_gateways_user_may_read_the_file(tmp_path: Path) -> None:
    path = tmp_path / "deeper" / "r.db"
    path.parent.mkdir()
    path.touch(0o644)
    async with store_of(path) as store:
        await saved(store, "a")
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        assert modes == {"r.db": 0o600, "r.db-wal": 0o600, "r.db-shm": 0o600}


async def test_two_processes_share_the_file(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    other = """
import asyncio, sys
from pathlib import Path
from tests.gateway.api.responses.stores import store_of

async def main():
    async with store_of(Path(sys.argv[1])) as store:
        before = await store.load("resp_a", "me")
        response = {"id": "resp_b", "status": "completed", "output": [{"id": "msg_b", "seen": len(before.items)}]}
        await store.save(response, [], "resp_a", "me", None)

asyncio.run(main())
"""
    async with store_of(path) as store:
        await saved(store, "a")
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", other, str(path), cwd=ROOT)
        assert await asyncio.wait_for(process.wait(), 60) == 0
        stored = await store.load("resp_b", "me")
        assert stored is not None
        assert stored.response["output"][0]["seen"] == 2
        assert await store.items(["msg_b"], "me")


async def test_a_disk_that_fails_is_logged_once_and_fails_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "locus.responses")
    folder = tmp_path / "folder"
    folder.write_text("no folder")
    async with store_of(folder / "r.db") as store:
        for name in ("a", "b"):
            await saved(store, name)
            assert await store.load(f"resp_{name}", "me") is None
            assert not await store.delete(f"resp_{name}", "me")
        await store.prune()
        assert sorted(record.getMessage().split(" in ")[0] for record in caplog.records) == [
            "stored responses cannot be read",
            "stored responses cannot be written",
        ]
        folder.unlink()
        await saved(store, "c")
        assert await store.load("resp_c", "me") is not None
    assert "stored responses are written in" in caplog.text


async def test_without_a_path_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with ResponseStore(None) as store:
        assert not store.keeps
        await saved(store, "a")
        assert await store.load("resp_a", "me") is None
        assert not await store.delete("resp_a", "me")
        await store.prune()
        with pytest.raises(PreviousResponseNotFound) as caught:
            await parsed(dialect(store), previous_response_id="resp_a")
    assert os.listdir(tmp_path) == []
    assert caught.value.status == 400
    assert caught.value.envelope()["error"] == {
        "message": "Previous response with id 'resp_a' not found.",
        "type": "invalid_request_error",
        "param": "previous_response_id",
        "code": "previous_response_not_found",
    }


async def test_a_conversation_goes_on_from_its_last_response(tmp_path: Path) -> None:
    async with store_of(tmp_path / "r.db") as store:
        given = dialect(store)
        first = await parsed(given, input="What is the weather?", tools=[FUNCTION], instructions="Be brief.")
        call = {"id": "a", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
        answer = complete({"content": None, "reasoning_content": "Hm", "tool_calls": [call]}, "tool_calls")
        got = orjson.loads(given.complete_answer(first, answer, "m1"))
        await given.store_response(first, got, "me", "s1")

        output = {"type": "function_call_output", "call_id": "a", "output": "sunny"}
        second = await parsed(given, input=[output], previous_response_id=got["id"], brand_new=1)
        assert second.session == "s1"
        assert second.fields["messages"] == [
            {"role": "user", "content": "What is the weather?"},
            {"role": "assistant", "content": None, "reasoning_content": "Hm", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "a", "content": "sunny"},
        ]
        assert second.native is not None
        assert second.native.fields == orjson.loads(second.native.body)
        assert "previous_response_id" not in second.native.fields
        assert second.native.fields["brand_new"] == 1
        assert [item["type"] for item in second.native.fields["input"]] == [
            "message",
            "function_call",
            "function_call_output",
        ]

        writer = given.writer(second)
        written(writer, chunk({"content": "It is sunny."}))
        writer.end(None, "m1")
        assert writer.response is not None
        assert writer.response["previous_response_id"] == got["id"]
        await given.store_response(second, writer.response, "me", "s1")
        third = await parsed(given, input="Thanks", previous_response_id=writer.response["id"])
        assert [message["role"] for message in third.fields["messages"]] == [
            "user",
            "assistant",
            "tool",
            "assistant",
            "user",
        ]
        with pytest.raises(PreviousResponseNotFound):
            await parsed(given, key_digest="you", previous_response_id=got["id"])


async def test_items_can_be_referred_to(tmp_path: Path) -> None:
    async with store_of(tmp_path / "r.db") as store:
        given = dialect(store)
        await saved(store, "a", text="Hello")
        reference = {"type": "item_reference", "id": "msg_a"}
        request = await parsed(given, input=[asked("hi"), reference, asked("and?")])
        assert [message["content"] for message in request.fields["messages"]] == ["hi", "Hello", "and?"]
        assert request.native is not None
        assert orjson.loads(request.native.body)["input"] == [asked("hi"), said("Hello", "a"), asked("and?")]


@pytest.mark.parametrize(
    ("fields", "status", "kept"),
    [({}, "completed", True), ({"store": False}, "completed", False), ({}, "failed", False)],
)
async def test_what_is_kept(tmp_path: Path, fields: dict[str, Any], status: str, kept: bool) -> None:
    async with store_of(tmp_path / "r.db") as store:
        given = dialect(store)
        await given.store_response(await parsed(given, **fields), response("a") | {"status": status}, "me", None)
        assert (await store.load("resp_a", "me") is not None) is kept


async def test_a_damaged_file_is_kept_and_a_new_one_begun(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    damage = b"no database at all" * 500
    path.write_bytes(damage)
    async with store_of(path) as store:
        await saved(store, "a")
        assert await store.load("resp_a", "me") is not None
    (kept,) = tmp_path.glob("r.db.damaged-*")  # noqa: ASYNC240
    assert kept.read_bytes() == damage
