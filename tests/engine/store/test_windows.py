"""Several windows on one data folder, and windows that are killed while they write."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

import engine
from engine.base.clock import Clock, SystemClock
from engine.base.errors import BugError
from engine.store import Store, open_store
from engine.store.rows import ConversationId, MessageId, MessageState, Role

# Another window: it appends to one answer and prints each word once it is committed.
_WRITER = """
import itertools, sys
from pathlib import Path
from engine.base.clock import SystemClock
from engine.store import open_store
from engine.store.rows import MessageState, Role

store = open_store(Path(sys.argv[1]), clock=SystemClock())
conversation = store.conversations.create()
question = store.messages.add(conversation.id, None, Role.USER, "count")
answer = store.messages.add(conversation.id, question.id, Role.ASSISTANT, state=MessageState.WRITING)
print(answer.id, flush=True)
for n in itertools.count():
    store.messages.append_text(answer.id, f"{n} ")
    print(n, flush=True)
    if sys.argv[2] == "wait" and n == 2:
        sys.stdin.read()
        break
"""

# A window that is open and writes nothing.
_IDLER = """
import sys
from pathlib import Path
from engine.base.clock import SystemClock
from engine.store import open_store

store = open_store(Path(sys.argv[1]), clock=SystemClock())
print("open", flush=True)
sys.stdin.read()
"""

# A window that adds whole conversations and closes by itself.
_ADDER = """
import sys
from pathlib import Path
from engine.base.clock import SystemClock
from engine.store import open_store
from engine.store.rows import Role

store = open_store(Path(sys.argv[1]), clock=SystemClock())
for n in range(int(sys.argv[2])):
    conversation = store.conversations.create()
    store.messages.add(conversation.id, None, Role.USER, f"question {n}")
store.close()
"""


def start(script: str, *arguments: str) -> subprocess.Popen[str]:
    root = Path(engine.__file__).parents[1]
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_everything_committed_survives_a_kill_and_the_answer_is_called_stopped(path: Path, clock: Clock) -> None:
    with start(_WRITER, str(path), "forever") as writer:
        message_id = MessageId(line_of(writer))
        for _ in range(30):
            line_of(writer)
        writer.kill()
        assert writer.stdout is not None
        last = [line for line in writer.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    n_told = int(last[-1]) if last else 29
    with closing(open_store(path, clock=clock)) as store:
        message = store.messages.get(message_id)
        assert message.state is MessageState.STOPPED
        words = message.content.split()
        assert words == [str(n) for n in range(len(words))]
        assert len(words) - 1 in (n_told, n_told + 1)  # the last commit may not have been told any more
        assert store.n_recovered == 1
        assert [each.message_id for each in store.search("28 29 ")] == [message_id]
    assert list(path.parent.iterdir()) == [path]


def test_what_a_living_window_writes_is_left_to_it_until_it_dies(path: Path, clock: Clock) -> None:
    with start(_WRITER, str(path), "wait") as writer:
        message_id = MessageId(line_of(writer))
        while line_of(writer) != "2":
            pass
        with closing(open_store(path, clock=clock)) as store:
            assert store.n_recovered == 0
            assert store.messages.get(message_id).state is MessageState.WRITING
            assert store.messages.get(message_id).content == "0 1 2 "
            writer.kill()
            writer.wait()
            assert store.messages.recover() == 1
            assert store.messages.get(message_id).state is MessageState.STOPPED


def test_the_traces_of_a_window_that_died_idle_are_swept(path: Path, clock: Clock) -> None:
    with start(_IDLER, str(path)) as idler:
        assert line_of(idler) == "open"
        idler.kill()
    assert [each for each in path.parent.iterdir() if "-window-" in each.name]
    open_store(path, clock=clock).close()
    assert list(path.parent.iterdir()) == [path]


def test_a_window_that_closes_calls_its_own_answer_stopped(path: Path, clock: Clock) -> None:
    with closing(open_store(path, clock=clock)) as store:
        conversation = store.conversations.create()
        message = store.messages.add(conversation.id, None, Role.ASSISTANT, "half an", MessageState.WRITING)
    with closing(open_store(path, clock=clock)) as store:
        assert store.n_recovered == 0
        assert store.messages.get(message.id).state is MessageState.STOPPED
        assert store.messages.get(message.id).content == "half an"


def test_two_windows_write_their_answers_side_by_side(path: Path) -> None:
    with (
        closing(open_store(path, clock=SystemClock())) as left,
        closing(open_store(path, clock=SystemClock())) as right,
    ):
        conversation = left.conversations.create()
        messages = {
            store: store.messages.add(conversation.id, None, Role.ASSISTANT, state=MessageState.WRITING)
            for store in (left, right)
        }
        for n in range(20):
            left.messages.append_text(messages[left].id, f"l{n} ")
            right.messages.append_text(messages[right].id, f"r{n} ")
        with pytest.raises(BugError, match="not being written by this window"):
            left.messages.append_text(messages[right].id, "not mine")
        left.messages.finish(messages[left].id, MessageState.COMPLETE)
        assert right.messages.get(messages[left].id).content == "".join(f"l{n} " for n in range(20))
        assert right.messages.get(messages[right].id).state is MessageState.WRITING


def test_two_processes_add_at_once_and_nothing_is_lost(path: Path, clock: Clock) -> None:
    with start(_ADDER, str(path), "40") as first, start(_ADDER, str(path), "40") as second:
        assert (first.wait(60), second.wait(60)) == (0, 0)
    with closing(open_store(path, clock=clock)) as store:
        assert len(store.conversations.list()) == 80
        assert sorted(each.title for each in store.conversations.list()) == sorted(
            2 * [f"question {n}" for n in range(40)]
        )


def test_an_answer_that_was_wrongly_called_stopped_goes_on(store: Store) -> None:
    conversation = store.conversations.create()
    message = store.messages.add(conversation.id, None, Role.ASSISTANT, "one ", MessageState.WRITING)
    store.database.connection.execute("UPDATE messages SET state = 'stopped'")  # as without locks on the file system
    store.messages.append_text(message.id, "two")
    assert store.messages.get(message.id).state is MessageState.WRITING
    finished = store.messages.finish(message.id, MessageState.COMPLETE)
    assert (finished.content, finished.state) == ("one two", MessageState.COMPLETE)
    assert [hit.message_id for hit in store.search("one two")] == [message.id]


def test_a_conversation_that_does_not_exist_is_not_invented_by_its_draft(store: Store) -> None:
    with pytest.raises(Exception, match="does not exist"):
        store.conversations.set_draft(ConversationId("gone"), "words")
